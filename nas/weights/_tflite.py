"""A TFLite classifier read layer by layer: float or quantised, with its input scaling and labels."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latency_lut.tflite.read import Operator, Tensor, TFLiteGraph, read_graph
from nas.weights._tflite_metadata import Described, describe
from nas.weights.file_layers import FileLayer
from nas.weights.info import IMAGENET_CROP, Preparation
from searchspace.architecture import Activation
from searchspace.support.errors import UserError

_FUSED = {0: Activation.LINEAR, 1: Activation.RELU, 3: Activation.RELU6}
_AFTER = {"RELU": Activation.RELU, "RELU6": Activation.RELU6, "HARD_SWISH": Activation.HSWISH}
# After these, what a convolution computed is still just that: no activation of another form may hide there.
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_PLAIN = _CONVOLUTIONS | {"ADD", "MEAN", "AVERAGE_POOL_2D", "RESHAPE", "SQUEEZE", "SOFTMAX", "PAD", "PADV2"}
_ARITHMETIC = frozenset({"MUL", "DIV", "SUB", "MINIMUM", "MAXIMUM", "LOGISTIC"})
_KNOWN = _PLAIN | _AFTER.keys() | _ARITHMETIC | {"QUANTIZE", "DEQUANTIZE", "TRANSPOSE"}
_LOWEST = {"uint8": 0, "int8": -128}
MAX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class TfliteFile:
    """What a classifier's file holds: layers in running order, preparation, labels, whether it ends in softmax.

    `side` is that of the input in pixels.
    """

    side: int
    layers: list[FileLayer]
    preparation: Preparation | None
    labels: tuple[str, ...] | None
    softmax: bool
    notes: tuple[str, ...]


def read_tflite(path: Path) -> TfliteFile:
    """Read a classifier; raises UserError for a damaged file and one with other operations than convolutions'."""
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has {path.stat().st_size / 2**20:,.0f} MiB, expected at most {MAX_BYTES // 2**20}")
    graph = read_graph(path)
    unknown = sorted({op.name for op in graph.operators} - _KNOWN)
    if unknown:
        raise UserError(f"{path} has the operation {unknown[0]}, which no classifier of this project has")
    described = describe(graph.metadata, path)
    side = _side(graph, path)
    preparation, notes = _preparation(graph.inputs[0], side, described)
    return TfliteFile(
        side=side,
        layers=_layers(graph, path),
        preparation=preparation,
        labels=described.labels or _packed_labels(path),
        softmax=bool(graph.operators) and graph.operators[-1].name == "SOFTMAX",
        notes=notes,
    )


def _side(graph: TFLiteGraph, path: Path) -> int:
    shape = graph.inputs[0].shape if graph.inputs else ()
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or shape[1] < 1:
        raise UserError(f"{path} takes inputs of shape {shape}, expected square RGB images (1, side, side, 3)")
    return shape[1]


def _preparation(tensor: Tensor, side: int, described: Described) -> tuple[Preparation | None, tuple[str, ...]]:
    """Return how inputs are scaled: as the metadata says, else as a quantised input is; and what was assumed."""
    crop = IMAGENET_CROP if described.crop is None else described.crop
    if (
        not (described.own and described.mean is not None)
        and tensor.dtype in _LOWEST
        and len(tensor.scale) == 1
        and tensor.scale[0] > 0
    ):
        scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
        mean, std = (zero - _LOWEST[tensor.dtype]) / 255, 1 / (255 * scale)
        return Preparation(mean=(mean,) * 3, std=(std,) * 3, image_size=side, crop=crop), ()
    if described.mean is not None and described.std is not None:
        # The metadata speaks of pixels from 0 to 255.
        in_unit = [_three([value / 255 for value in values]) for values in (described.mean, described.std)]
        return Preparation(mean=in_unit[0], std=in_unit[1], image_size=side, crop=crop), ()
    if described.own:
        return None, ()
    note = "the file does not say how inputs are scaled; [-1, 1] is assumed, as for TensorFlow's MobileNets"
    return Preparation(mean=(0.5,) * 3, std=(0.5,) * 3, image_size=side), (note,)


def _layers(graph: TFLiteGraph, path: Path) -> list[FileLayer]:
    readers: dict[str, list[Operator]] = defaultdict(list)
    widened = {op.outputs[0].name: op.inputs[0] for op in graph.operators if op.name == "DEQUANTIZE"}
    for op in graph.operators:
        for tensor in op.inputs:
            if tensor is not None:
                readers[tensor.name].append(op)
    found = []
    for op in graph.operators:
        if op.name in _CONVOLUTIONS:
            try:
                found.append(_layer(op, readers[op.outputs[0].name], widened))
            except (IndexError, ValueError, KeyError, RuntimeError, AttributeError) as error:
                raise UserError(f"{path}: a {op.name} lacks its weights or options: {str(error)[:100]}") from None
    return found


def _layer(op: Operator, readers: list[Operator], widened: dict[str, Tensor | None]) -> FileLayer:
    weight = torch.from_numpy(_values(op.inputs[1], widened))
    if op.name != "FULLY_CONNECTED":
        # TFLite keeps dense kernels as (out, h, w, in), depthwise ones as (1, h, w, channels).
        weight = weight.permute((3, 0, 1, 2) if op.name == "DEPTHWISE_CONV_2D" else (0, 3, 1, 2))
    bias = None
    if len(op.inputs) > 2 and op.inputs[2] is not None:
        bias = torch.from_numpy(_values(op.inputs[2], widened))
        if _ends_in_hard_gate(op, readers):
            bias = bias - 3
    return FileLayer(
        name=op.outputs[0].name,
        weight=weight.contiguous(),
        bias=bias,
        stride=int(op.options["strideH"]) if op.name != "FULLY_CONNECTED" else None,
        activation=_activation(op, readers),
    )


def _ends_in_hard_gate(op: Operator, readers: list[Operator]) -> bool:
    """Whether the addition of relu6(x + 3) / 6, the gate of squeeze-excite, was folded into the bias."""
    if len(readers) != 1 or readers[0].name != "MUL" or _FUSED.get(_fused(op)) is not Activation.RELU6:
        return False
    constants = [tensor for tensor in readers[0].inputs if tensor is not None and tensor.constant is not None]
    return len(constants) == 1 and bool(np.allclose(constants[0].values, 1 / 6, rtol=0.02))


def _fused(op: Operator) -> int:
    return int(op.options["fusedActivationFunction"])


def _activation(op: Operator, readers: list[Operator]) -> Activation | None:
    fused = _FUSED.get(_fused(op))
    if fused is not Activation.LINEAR:
        return fused
    names = {reader.name for reader in readers}
    if len(names) == 1 and (after := _AFTER.get(next(iter(names)))):
        return after
    return Activation.LINEAR if names <= _PLAIN else None


def _values(tensor: Tensor | None, widened: dict[str, Tensor | None]) -> np.ndarray:
    """Return a constant as float32; 16-bit weights pass through an operation that widens them."""
    if tensor is not None and tensor.constant is None:
        tensor = widened.get(tensor.name)
    if tensor is None:
        raise ValueError("they are computed, expected constants")
    if not len(tensor.scale) and not tensor.dtype.startswith("float"):
        raise UserError(f"the weights '{tensor.name[:60]}' hold {tensor.dtype} numbers without a scale")
    return np.array(tensor.values, np.float32)


def _three(values: list[float]) -> tuple[float, float, float]:
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third


def _packed_labels(path: Path) -> tuple[str, ...] | None:
    """Return the labels packed behind the model as a zip file: the one text file with `label` in its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            named = [entry for entry in archive.infolist() if "label" in entry.filename.lower()]
            if len(named) != 1 or named[0].file_size > 2**24:
                return None
            text = archive.read(named[0]).decode("utf-8-sig")
    except Exception:  # most files have no zip behind them; `zipfile` raises many types for what is none
        return None
    return tuple(line.strip() for line in text.splitlines() if line.strip())
