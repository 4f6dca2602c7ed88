"""`open_weights`: a network's weights from whatever kind of file holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from nas.weights._npz import read_npz
from nas.weights._tflite import read_tflite
from nas.weights.info import Preparation, WeightsInfo
from nas.weights.layers import FileLayer, fill_network, without_background
from searchspace.architecture import Architecture
from searchspace.support.errors import UserError
from searchspace.weights import read_weights

FORMS = ".safetensors, .tflite, .npz"
SIGNED_UNIT = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # scales pixels to [-1, 1], as TensorFlow's MobileNets
IMAGENET_CLASSES = 1000
BACKGROUND_NAMES = frozenset({"background", "dummy", "/m/01g317"})


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights in this project's names, the architecture they belong to (with the file's classes), and what they expect.

    TensorFlow's background class is no longer among the classes.
    """

    architecture: Architecture
    state: dict[str, Tensor]
    info: WeightsInfo


def open_weights(place: str | Path, asked: Architecture | None = None) -> Weights:
    """Read a weights file; files that do not name their network are read as `asked`.

    Raises UserError for a missing or damaged file, one of an unknown form, and one of another network, naming the
    first layer that differs.
    """
    path = Path(place)
    if not path.is_file():
        raise UserError(f"no such weights file: {place}")
    match path.suffix.lower():
        case ".safetensors":
            return _own(path)
        case ".npz":
            notes = ("an npz does not say how inputs are scaled; [-1, 1] is assumed, as for TensorFlow's MobileNets",)
            layers = read_npz(path)
            architecture = _needed(asked, path)
            mean, std = SIGNED_UNIT
            preparation = Preparation(mean=mean, std=std, image_size=architecture.resolution)
            return _from_layers(path, layers, architecture, WeightsInfo(
                source=str(path), preparation=preparation, folded=True, notes=notes))  # fmt: skip
        case ".tflite":
            file = read_tflite(path)
            info = WeightsInfo(
                source=str(path), preparation=file.preparation, labels=file.labels, folded=True, notes=file.notes
            )
            return _from_layers(path, file.layers, _needed(asked, path), info)
        case _:
            raise UserError(f"{path} is no weights file that is read; expected one of: {FORMS}")


def has_background(outputs: int, labels: tuple[str, ...] | None) -> bool:
    """Whether the first output is TensorFlow's background class: its label says so, or 1001 outputs have no labels."""
    if labels is None:
        return outputs == IMAGENET_CLASSES + 1
    return len(labels) == outputs and labels[0].strip().lower() in BACKGROUND_NAMES


def _needed(asked: Architecture | None, path: Path) -> Architecture:
    if asked is None:
        raise UserError(f"{path} does not say which network it belongs to: give NETWORK and --weights {path}")
    return asked


def _from_layers(path: Path, layers: list[FileLayer], asked: Architecture, info: WeightsInfo) -> Weights:
    if not layers:
        raise UserError(f"{path} holds no layer with weights")
    outputs, labels = layers[-1].outputs, info.labels
    if labels is not None and len(labels) != outputs:
        note = f"the file has {outputs} outputs and {len(labels)} labels; the labels are not used"
        labels, info = None, replace(info, labels=None, notes=(*info.notes, note))
    if has_background(outputs, labels):
        layers = without_background(layers)
        note = "the first of its classes is the background; it is left out"
        info = replace(info, labels=labels[1:] if labels else None, notes=(*info.notes, note))
    network = fill_network(asked, layers, str(path))
    return Weights(architecture=network.architecture, state=network.state_dict(), info=info)


def _own(path: Path) -> Weights:
    architecture, state, notes = read_weights(path)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{path}: '{name}' holds numbers that are not finite; the training that wrote it diverged")
        if not tensor.is_floating_point() and not name.endswith("num_batches_tracked"):
            raise UserError(f"{path}: '{name}' holds {tensor.dtype} numbers, expected floats")
    return Weights(architecture=architecture, state=state, info=WeightsInfo.from_file_notes(str(path), notes))
