"""State dicts of timm and torchvision: their names put in running order, their conventions named.

Both keep batch norm beside its convolution and train with PyTorch's padding, which adds as much before as after;
timm's `tf_` weights come from TensorFlow, with its epsilon and its padding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.weights.file_layers import FileLayer, Norm
from searchspace.architecture import Activation
from searchspace.support.errors import UserError

TORCH_EPSILON, TENSORFLOW_EPSILON = 1e-5, 1e-3
# The order of layers inside a block of timm's, whatever the kind of block.
_RANKS = {
    "dw_start": 0, "conv_pw": 1, "conv_exp": 1, "pw_exp": 1, "conv_dw": 2, "dw_mid": 2, "conv": 2,
    "se.conv_reduce": 3, "se.conv_expand": 4, "conv_pwl": 5, "pw_proj": 5, "dw_end": 6,
}  # fmt: skip
_TIMM_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")


@dataclass(frozen=True)
class StateDictFile:
    """A state dict's layers in running order, and how it was trained: `symmetric` padding, or TensorFlow's."""

    layers: list[FileLayer]
    symmetric: bool
    origin: str


def read_state_dict(path: Path, state: Mapping[str, Any], name: str) -> StateDictFile:
    """Order the tensors of a state dict; `name` is that of the model, which says whether TensorFlow trained it.

    Raises UserError for names of neither library and for tensors that are not floats.
    """
    tensors = _tensors(path, state)
    if "conv_stem.weight" in tensors:
        tensorflow = bool(re.search(r"(^|[^a-z0-9])tf_", name))
        epsilon = TENSORFLOW_EPSILON if tensorflow else TORCH_EPSILON
        return StateDictFile(_timm(tensors, epsilon), not tensorflow, "timm, tf_" if tensorflow else "timm")
    if "features.0.0.weight" in tensors or "layers.0.weight" in tensors:
        # torchvision's MobileNetV3 has TensorFlow's epsilon, its V2 and MnasNet PyTorch's.
        third = any(".block." in name for name in tensors)
        return StateDictFile(_paired(tensors, TENSORFLOW_EPSILON if third else TORCH_EPSILON), True, "torchvision")
    raise UserError(
        f"{path}: its first tensor is '{next(iter(tensors), 'nothing')[:60]}', expected the names of timm (conv_stem, "
        "blocks.0.0...) or torchvision (features.0.0..., layers.0...)"
    )


def load_torch_file(path: Path) -> Mapping[str, Any]:
    """Read a .pth file as tensors alone, without executing code; raises UserError."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage and pickled code by many exception types
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path} is no file of tensors alone ({reason})") from None
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected tensors by name")
    return content


def _tensors(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: '{str(name)[:60]}' is a {type(tensor).__name__}, expected a tensor")
        if name.endswith("num_batches_tracked"):
            continue
        if not tensor.is_floating_point():
            raise UserError(f"{path}: '{name[:60]}' holds {tensor.dtype} numbers without a scale, expected floats")
        found[name.removeprefix("module.")] = tensor.detach().float()
    return found


def _timm(tensors: dict[str, Tensor], epsilon: float) -> list[FileLayer]:
    names = [name.removesuffix(".weight") for name, tensor in tensors.items() if tensor.ndim > 1]
    projecting = {_place(name)[:3] for name in names if name.endswith(("conv_pwl", "conv_exp"))}

    def order(name: str) -> tuple[int, int, int, int]:
        part, stage, block, rank = _place(name)
        # The only pointwise convolution of a separable block is its last.
        separable = name.endswith(".conv_pw") and (part, stage, block) not in projecting
        return part, stage, block, 5 if separable else rank

    ordered = sorted(names, key=order)
    layers: list[FileLayer] = []
    inside: dict[str, int] = {}
    for name in ordered:
        block = name.rpartition(".")[0] if name.startswith("blocks.") else ""
        norm = None
        if name in ("conv_stem", "conv_head"):
            norm = _norm(tensors, ("bn1",) if name == "conv_stem" else ("bn2", "norm_head"), epsilon)
        elif name.endswith(".conv") and f"{block}.bn.weight" in tensors:
            norm = _norm(tensors, (f"{block}.bn",), epsilon)
        elif block and ".se." not in name:
            inside[block] = inside.get(block, 0) + 1
            norm = _norm(tensors, (f"{block}.bn{inside[block]}",), epsilon)
        layers.append(_layer(tensors, name, norm))
    if not any(inner in name for name in names for inner in (".conv_pwl", ".pw_proj", ".conv_exp")):
        # Separable blocks alone: MobileNetV1, which timm trains with relu6 and the paper with relu.
        layers[0] = replace(layers[0], activation=Activation.RELU6)
    return layers


def _place(name: str) -> tuple[int, int, int, int]:
    match = _TIMM_BLOCK.fullmatch(name)
    if match:
        inner = match[3].removesuffix(".conv") if match[3] != "conv" else "conv"
        return 1, int(match[1]), int(match[2]), _RANKS.get(inner, 9)
    return {"conv_stem": 0, "conv_head": 2}.get(name, 3), 0, 0, 0


def _paired(tensors: dict[str, Tensor], epsilon: float) -> list[FileLayer]:
    """Return layers in the order of the numbers in their names, where a batch norm follows its convolution."""
    modules = sorted({name.rpartition(".")[0] for name in tensors}, key=_natural)
    layers: list[FileLayer] = []
    for name in modules:
        if f"{name}.running_mean" in tensors and layers:
            last = layers[-1]
            layers[-1] = _layer(tensors, last.name, _norm(tensors, (name,), epsilon))
        elif f"{name}.weight" in tensors:
            layers.append(_layer(tensors, name, None))
    return layers


def _natural(name: str) -> tuple[Any, ...]:
    head = name.startswith("classifier")
    return (head, *((0, int(p), "") if p.isdigit() and len(p) < 9 else (1, 0, p) for p in name.split(".")))


def _layer(tensors: dict[str, Tensor], name: str, norm: Norm | None) -> FileLayer:
    return FileLayer(name=name, weight=tensors[f"{name}.weight"], bias=tensors.get(f"{name}.bias"), norm=norm)


def _norm(tensors: dict[str, Tensor], names: tuple[str, ...], epsilon: float) -> Norm | None:
    for name in names:
        try:
            return Norm(
                weight=tensors[f"{name}.weight"],
                bias=tensors[f"{name}.bias"],
                mean=tensors[f"{name}.running_mean"],
                variance=tensors[f"{name}.running_var"],
                epsilon=epsilon,
            )
        except KeyError:
            continue
    return None
