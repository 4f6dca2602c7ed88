"""The operators of the MobileNet family in a TFLite graph; each function adds one and returns its output tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latency_lut.tflite.graph import Graph

SAME, VALID = "SAME", "VALID"
RELU, RELU6 = "RELU", "RELU6"


def convolve(
    graph: Graph,
    source: int,
    constants: list[int],
    *,
    strides: tuple[int, int] = (1, 1),
    dilation: int = 1,
    padding: str = SAME,
    depthwise: bool = False,
    activation: str = "NONE",
) -> int:
    """Convolve with weights (out, kh, kw, in), depthwise (1, kh, kw, out), and a bias; strides are (down, along)."""
    shape = graph.shape(constants[0])
    _, height, width, channels = graph.shape(source)
    out = shape[3] if depthwise else shape[0]
    down, along = _mapped((height, width), shape[1:3], strides, padding, dilation)
    extra = {"depthMultiplier": out // channels} if depthwise else {}
    return graph.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [source, *constants],
        (1, down, along, out),
        "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
        padding=getattr(graph.schema.Padding, padding),
        strideW=strides[1],
        strideH=strides[0],
        dilationWFactor=dilation,
        dilationHFactor=dilation,
        fusedActivationFunction=getattr(graph.schema.ActivationFunctionType, activation),
        **extra,
    )


def fully_connected(graph: Graph, source: int, constants: list[int]) -> int:
    """Multiply (1, in) with weights (out, in) and add a bias."""
    shape = (1, graph.shape(constants[0])[0])
    return graph.operator("FULLY_CONNECTED", [source, *constants], shape, "FullyConnectedOptions")


def mean(graph: Graph, source: int, *, keep_dims: bool) -> int:
    """Average each channel over the whole map."""
    channels = graph.shape(source)[-1]
    shape = (1, 1, 1, channels) if keep_dims else (1, channels)
    axes = graph.constant(np.array([1, 2], np.int32))
    return graph.operator("MEAN", [source, axes], shape, "ReducerOptions", keepDims=keep_dims)


def add(graph: Graph, left: int, right: int) -> int:
    """Add two tensors; the right one may be smaller and is then broadcast."""
    return graph.operator("ADD", [left, right], graph.shape(left), "AddOptions")


def multiply(graph: Graph, left: int, right: int) -> int:
    """Multiply two tensors; the right one may be smaller and is then broadcast."""
    return graph.operator("MUL", [left, right], graph.shape(left), "MulOptions")


def hard_swish(graph: Graph, source: int) -> int:
    """Apply x relu6(x + 3) / 6."""
    return graph.operator("HARD_SWISH", [source], graph.shape(source), "HardSwishOptions")


def logistic(graph: Graph, source: int) -> int:
    """Apply the sigmoid."""
    return graph.operator("LOGISTIC", [source], graph.shape(source))


def pad(graph: Graph, source: int, top: int, bottom: int, left: int, right: int) -> int:
    """Put zeros around each map."""
    _, height, width, channels = graph.shape(source)
    amounts = graph.constant(np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32))
    shape = (1, height + top + bottom, width + left + right, channels)
    return graph.operator("PAD", [source, amounts], shape, "PadOptions")


def cut(graph: Graph, source: int, axis: int, begin: int, count: int) -> int:
    """Take `count` entries along an axis from `begin` on."""
    whole = graph.shape(source)
    shape = tuple(count if number == axis else length for number, length in enumerate(whole))
    starts = [begin if number == axis else 0 for number in range(len(whole))]
    operands = [graph.constant(np.array(values, np.int32)) for values in (starts, shape)]
    return graph.operator("SLICE", [source, *operands], shape, "SliceOptions")


def join(graph: Graph, parts: list[int], axis: int) -> int:
    """Concatenate along an axis."""
    first = graph.shape(parts[0])
    total = sum(graph.shape(part)[axis] for part in parts)
    shape = tuple(total if number == axis else length for number, length in enumerate(first))
    return graph.operator("CONCATENATION", parts, shape, "ConcatenationOptions", axis=axis)


def reshaped(graph: Graph, source: int, shape: tuple[int, ...]) -> int:
    """Give the values another shape."""
    operand = graph.constant(np.array(shape, np.int32))
    return graph.operator("RESHAPE", [source, operand], shape, "ReshapeOptions", newShape=list(shape))


def permuted(graph: Graph, source: int, order: tuple[int, ...]) -> int:
    """Reorder the axes."""
    shape = tuple(graph.shape(source)[axis] for axis in order)
    return graph.operator("TRANSPOSE", [source, graph.constant(np.array(order, np.int32))], shape, "TransposeOptions")


def resized(graph: Graph, source: int, size: tuple[int, int], *, align_corners: bool) -> int:
    """Resize each map bilinearly to (height, width)."""
    shape = (1, *size, graph.shape(source)[3])
    operand = graph.constant(np.array(size, np.int32))
    options = {"alignCorners": align_corners, "halfPixelCenters": not align_corners}
    return graph.operator("RESIZE_BILINEAR", [source, operand], shape, "ResizeBilinearOptions", **options)


def pooled(
    graph: Graph, source: int, kind: str, kernel: tuple[int, int], strides: tuple[int, int], padding: str
) -> int:
    """Pool windows of a map: kind is AVERAGE_POOL_2D or MAX_POOL_2D, kernel and strides are (height, width)."""
    _, height, width, channels = graph.shape(source)
    return graph.operator(
        kind,
        [source],
        (1, *_mapped((height, width), kernel, strides, padding), channels),
        "Pool2DOptions",
        padding=getattr(graph.schema.Padding, padding),
        strideW=strides[1],
        strideH=strides[0],
        filterWidth=kernel[1],
        filterHeight=kernel[0],
    )


def _mapped(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: str, dilation: int = 1
) -> tuple[int, int]:
    """Return height and width of the map behind a sliding window."""
    reach = [dilation * (one - 1) if padding == VALID else 0 for one in kernel]
    down, along = (-(-(one - less) // step) for one, less, step in zip(size, reach, strides, strict=True))
    return down, along
