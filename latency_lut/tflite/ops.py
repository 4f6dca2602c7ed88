"""The primitive operations of a TFLite file that somebody made, so that a latency table can price it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from latency_lut.tflite.read import Operator, Tensor, TFLiteGraph
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

# What costs next to nothing beside the rest, or is part of what is priced as another op.
_FREE = frozenset({"RESHAPE", "SQUEEZE", "SOFTMAX", "QUANTIZE", "DEQUANTIZE", "SLICE", "STRIDED_SLICE", "SPLIT"})
_UNPRICED = frozenset({"RELU", "RELU6", "TRANSPOSE", "MUL", "ADD"})


_VALID = 1  # Padding.VALID of the TFLite schema


@dataclass(frozen=True)
class FoundOps:
    """The ops of a file, each with the name of its output tensor, and how many operators no table prices, by name."""

    ops: tuple[tuple[str, Op], ...]
    unpriced: dict[str, int]


def found_ops(graph: TFLiteGraph) -> FoundOps:
    """Return the ops of a file in running order.

    Raises UserError naming the first operator that is none of this project's ops.
    """
    ops: list[tuple[str, Op]] = []
    unpriced: dict[str, int] = {}
    for operator in graph.operators:
        op = _op_of(operator)
        if op is not None:
            ops.append((operator.outputs[0].name, op))
        elif operator.name not in _FREE:
            unpriced[operator.name] = unpriced.get(operator.name, 0) + 1
    if not ops:
        raise UserError("the file holds no operator that a latency table knows")
    return FoundOps(tuple(ops), unpriced)


def _op_of(operator: Operator) -> Op | None:
    """Return the op, or None for an operator that no table prices."""
    reader = _READERS.get(operator.name)
    if reader is None:
        if operator.name in _FREE | _UNPRICED:
            return None
        raise _unknown(operator, f"known are {', '.join(sorted(_READERS.keys() | _FREE | _UNPRICED))}")
    return reader(operator)


def _unknown(operator: Operator, expected: str) -> UserError:
    shapes = " and ".join("x".join(map(str, one.shape)) for one in operator.inputs if one is not None)
    return UserError(f"no latency table knows {operator.name} of {shapes} ({operator.outputs[0].name}); {expected}")


def _map(operator: Operator, tensor: Tensor) -> tuple[int, int]:
    """Return (size, channels) of a square map, or of a vector as a map of one pixel."""
    if len(tensor.shape) in (1, 2) and (len(tensor.shape) == 1 or tensor.shape[0] == 1):
        return 1, tensor.shape[-1]
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or tensor.shape[1] != tensor.shape[2]:
        raise _unknown(operator, "expected one image with square maps, 1xSxSxC")
    return tensor.shape[1], tensor.shape[3]


def _rectangle(operator: Operator, tensor: Tensor) -> tuple[int, int, int]:
    """Return (height, width, channels) of a map, or of a vector as a map of one pixel."""
    if len(tensor.shape) == 4 and tensor.shape[0] == 1:
        return tensor.shape[1], tensor.shape[2], tensor.shape[3]
    size, channels = _map(operator, tensor)
    return size, size, channels


def _activations(operator: Operator) -> list[Tensor]:
    """Return the inputs that are computed rather than constant."""
    return [one for one in operator.inputs if one is not None and one.constant is None]


def _convolution(operator: Operator) -> Op:
    options, weights = operator.options, operator.inputs[1]
    assert weights is not None
    height, width, channels = _rectangle(operator, _source(operator))
    out = _rectangle(operator, operator.outputs[0])[2]
    kernel, along = weights.shape[1:3]
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    dilation = max(options.get("dilationWFactor", 1), 1)
    if max(options.get("dilationHFactor", 1), 1) != dilation or (
        out != channels if depthwise else weights.shape[3] != channels
    ):
        raise _unknown(operator, "expected one dilation, no groups but depthwise")
    if options["padding"] == _VALID:  # behind a PAD, or with the map shrinking: the SAME one that gives the same map
        height -= dilation * (kernel - 1)
        width -= dilation * (along - 1)
    if not depthwise and height == width == kernel == along == 1:
        return Op(OpKind.LINEAR, 1, channels, out)
    kind = OpKind.DWCONV if depthwise else OpKind.CONV
    widths = width, along, options["strideW"]
    return Op(kind, height, channels, out, kernel, options["strideH"], dilation, *widths)


def _pad(operator: Operator) -> Op:
    """Return zeros as many on each side of a map."""
    height, width, channels = _rectangle(operator, _source(operator))
    amounts = operator.inputs[1]
    if amounts is None or amounts.constant is None:
        raise _unknown(operator, "expected constant amounts")
    # As much on one side only is what TensorFlow's SAME would do by itself: priced as half a kernel around.
    down, along = (2 * int(amounts.constant[axis].max()) + 1 for axis in (1, 2))
    return Op(OpKind.PAD, height, channels, channels, down, in_width=width, kernel_width=along)


def _source(operator: Operator) -> Tensor:
    source = operator.inputs[0]
    assert source is not None
    return source


def _linear(operator: Operator) -> Op:
    weights = operator.inputs[1]
    assert weights is not None
    return Op(OpKind.LINEAR, 1, weights.shape[1], weights.shape[0])


def _pool(operator: Operator) -> Op:
    size, channels = _map(operator, _source(operator))
    if _map(operator, operator.outputs[0]) != (1, channels):
        raise _unknown(operator, "expected pooling of the whole map")
    return Op(OpKind.POOL, size, channels, channels)


def _sum(operator: Operator) -> Op | None:
    if len(_activations(operator)) < 2:
        return None
    size, channels = _map(operator, operator.outputs[0])
    return Op(OpKind.ADD, size, channels, channels)


def _product(operator: Operator) -> Op | None:
    """Return the gating of squeeze-excite, or the last step of a hard sigmoid written out."""
    size, channels = _map(operator, operator.outputs[0])
    computed = [_map(operator, tensor) for tensor in _activations(operator)]
    if len(computed) < 2:
        return Op(OpKind.SIGMOID, 1, channels, channels) if size == 1 else None
    if computed[0] == computed[1] and size > 1:
        raise _unknown(operator, "expected a gate of one pixel; h-swish is known as HARD_SWISH")
    return Op(OpKind.SCALE, size, channels, channels)


def _logistic(operator: Operator) -> Op:
    size, channels = _map(operator, operator.outputs[0])
    if size != 1:
        raise _unknown(operator, "expected a gate of one pixel")
    return Op(OpKind.SIGMOID, 1, channels, channels)


def _hard_swish(operator: Operator) -> Op:
    size, channels = _map(operator, operator.outputs[0])
    return Op(OpKind.HSWISH, size, channels, channels)


def _resize(operator: Operator) -> Op:
    size, channels = _map(operator, _source(operator))
    factor, rest = divmod(_map(operator, operator.outputs[0])[0], size)
    if rest or not factor:
        raise _unknown(operator, "expected enlargement by a whole factor")
    return Op(OpKind.RESIZE, size, channels, channels, stride=factor)


def _concatenation(operator: Operator) -> Op:
    size, channels = _map(operator, operator.outputs[0])
    if operator.options.get("axis") not in (3, -1):
        raise _unknown(operator, "expected concatenation of channels")
    return Op(OpKind.CONCAT, size, channels, channels)


_READERS: dict[str, Callable[[Operator], Op | None]] = {
    "CONV_2D": _convolution,
    "PAD": _pad,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _linear,
    "MEAN": _pool,
    "SUM": _pool,
    "AVERAGE_POOL_2D": _pool,
    "ADD": _sum,
    "MUL": _product,
    "LOGISTIC": _logistic,
    "HARD_SWISH": _hard_swish,
    "CONCATENATION": _concatenation,
    "RESIZE_BILINEAR": _resize,
}
