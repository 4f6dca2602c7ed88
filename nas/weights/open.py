"""`open_weights`: a network's weights from whatever kind of file holds them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.weights._hub import PREFIX, fetch
from nas.weights._npz import read_npz
from nas.weights._state_dict import load_torch_file, read_state_dict
from nas.weights._tflite import read_tflite
from nas.weights.file_layers import FileLayer, fill_network, without_background
from nas.weights.info import Preparation, WeightsInfo
from searchspace.architecture import Architecture, Padding
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import
from searchspace.weights import read_weights

FORMS = ".safetensors, .tflite, .npz, .pth"
SIGNED_UNIT = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # scales pixels to [-1, 1], as TensorFlow's MobileNets
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
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
    if str(place).startswith(PREFIX):
        name = str(place).removeprefix(PREFIX)
        path, preparation = fetch(name)
        return _foreign(path, _tensors_of(path), _needed(asked, place), str(place), name, preparation)
    path = Path(place)
    form = _form_of(path)
    if form == "safetensors":
        return _own(path) if _is_own(path) else _foreign(path, _tensors_of(path), _needed(asked, path), str(path))
    if form == "torch":
        return _foreign(path, load_torch_file(path), _needed(asked, path), str(path))
    architecture = _needed(asked, path)
    if form == "npz":
        note = "an npz does not say how inputs are scaled; [-1, 1] is assumed, as for TensorFlow's MobileNets"
        preparation = Preparation(mean=SIGNED_UNIT[0], std=SIGNED_UNIT[1], image_size=architecture.resolution)
        info = WeightsInfo(source=str(path), preparation=preparation, folded=True, notes=(note,))
        return _from_layers(path, read_npz(path), architecture, info)
    file = read_tflite(path)
    info = WeightsInfo(
        source=str(path), preparation=file.preparation, labels=file.labels, folded=True, notes=file.notes
    )
    return _from_layers(path, file.layers, architecture, info)


def _form_of(path: Path) -> str:
    """Return the form of a file by its first bytes, else by its suffix: names lie more often than bytes."""
    if not path.is_file():
        raise UserError(f"no such weights file: {path}")
    with path.open("rb") as file:
        start = file.read(16)
    if start[4:8] == b"TFL3":
        return "tflite"
    if start[:4] == b"PK\x03\x04":
        return "torch" if _holds_pickle(path) else "npz"
    if start[8:9] == b"{":
        return "safetensors"
    forms = {".safetensors": "safetensors", ".tflite": "tflite", ".npz": "npz", ".pth": "torch", ".pt": "torch"}
    if path.suffix.lower() not in forms:
        raise UserError(f"{path} is no weights file that is read; expected one of: {FORMS}")
    return forms[path.suffix.lower()]


def _holds_pickle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return path.suffix.lower() in (".pth", ".pt")


def _foreign(
    path: Path,
    state: Mapping[str, Any],
    asked: Architecture,
    source: str,
    name: str = "",
    preparation: Preparation | None = None,
) -> Weights:
    """Take a state dict of timm or torchvision, with the padding and the preparation it was trained with."""
    file = read_state_dict(path, state, name or path.name)
    tensorflow = not file.symmetric
    padding = Padding.SAME if tensorflow else Padding.SYMMETRIC
    notes = [f"read as {file.origin}: padding {'as in TensorFlow' if tensorflow else 'on both sides'}"]
    if preparation is None:
        mean, std = SIGNED_UNIT if tensorflow else IMAGENET_STATISTICS
        preparation = Preparation(mean=mean, std=std, image_size=asked.resolution)
        notes.append(f"the file does not say how inputs are scaled; {file.origin}'s mean and deviation are assumed")
    info = WeightsInfo(source=source, preparation=preparation, notes=tuple(notes))
    return _from_layers(path, file.layers, asked.with_padding(padding), info)


def has_background(outputs: int, labels: tuple[str, ...] | None) -> bool:
    """Whether the first output is TensorFlow's background class: its label says so, or 1001 outputs have no labels."""
    if labels is None:
        return outputs == IMAGENET_CLASSES + 1
    return len(labels) == outputs and labels[0].strip().lower() in BACKGROUND_NAMES


def _needed(asked: Architecture | None, path: str | Path) -> Architecture:
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


def _tensors_of(path: Path) -> dict[str, Tensor]:
    library = optional_import("safetensors", purpose="a file of weights")
    try:
        with library.safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (library.SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from None


def _is_own(path: Path) -> bool:
    """Whether the file names its architecture; damage is left to the reader of own files to tell."""
    library = optional_import("safetensors", purpose="a file of weights")
    try:
        with library.safe_open(path, "pt") as file:
            names = set(file.keys())
            return "architecture" in (file.metadata() or {}) or (
                "conv_stem.weight" not in names and not any(name.startswith(("features.", "layers.")) for name in names)
            )
    except (library.SafetensorError, OSError):
        return True


def _own(path: Path) -> Weights:
    architecture, state, notes = read_weights(path)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{path}: '{name}' holds numbers that are not finite; the training that wrote it diverged")
        if not tensor.is_floating_point() and not name.endswith("num_batches_tracked"):
            raise UserError(f"{path}: '{name}' holds {tensor.dtype} numbers, expected floats")
    return Weights(architecture=architecture, state=state, info=WeightsInfo.from_file_notes(str(path), notes))
