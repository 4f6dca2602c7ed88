"""Convolutions and pooling with their padding, and batch norm, as TFLite operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from latency_lut.tflite import operators
from latency_lut.tflite.lowering import (
    CONVOLUTIONS,
    NO_PADS,
    Handlers,
    Lowering,
    Value,
    to_array,
)
from latency_lut.tflite.trace import Call
from searchspace.support.errors import UserError

HANDLERS = Handlers()


@HANDLERS.of("convolution")
def _convolution(low: Lowering, call: Call) -> Value:
    tensor, weight, bias, strides, own, (dilation, other), transposed, _, groups = call.arguments
    if transposed:
        raise UserError("cannot write a transposed convolution as a TFLite operator")
    if dilation != other:
        raise UserError(f"cannot write a convolution dilated by {dilation} and {other} as a TFLite operator")
    reach = (dilation * (weight.shape[2] - 1), dilation * (weight.shape[3] - 1))
    source, padding = _window(low, tensor, tuple(own), reach, tuple(strides))
    depthwise = groups > 1 and groups == tensor.shape[1]
    weights = to_array(weight).transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    shift = np.zeros(weight.shape[0], np.float32) if bias is None else to_array(bias)
    constants = [low.graph.constant(np.ascontiguousarray(weights)), low.graph.constant(shift)]
    options: dict[str, Any] = {
        "strides": tuple(strides),
        "dilation": dilation,
        "padding": padding,
        "depthwise": depthwise,
    }
    return Value(operators.convolve(low.graph, source, constants, **options), True)


@HANDLERS.of("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def _batch_norm(low: Lowering, call: Call) -> Value:
    tensor, weight, bias, running_mean, running_var = call.arguments[:5]
    epsilon = float(call.arguments[-1])
    scale = 1 / np.sqrt(to_array(running_var).astype(np.float64) + epsilon)
    scale = scale if weight is None else scale * to_array(weight)
    shift = -to_array(running_mean) * scale + (0 if bias is None else to_array(bias))
    operator, graph = low.sole_producer(tensor, CONVOLUTIONS), low.graph
    value = low.value(tensor)
    if operator is None:
        factor, term = (graph.constant(part.astype(np.float32)) for part in (scale, shift))
        return replace(value, index=operators.add(graph, operators.multiply(graph, value.index, factor), term))
    _, weights, offset = operator.inputs
    along = scale if operator.name == "DEPTHWISE_CONV_2D" else scale[:, None, None, None]
    graph.constants[weights] = (graph.constants[weights] * along).astype(np.float32)
    graph.constants[offset] = (graph.constants[offset] * scale + shift).astype(np.float32)
    return value


@HANDLERS.of("constant_pad_nd")
def _constant_pad(low: Lowering, call: Call) -> Value:
    tensor, amounts, fill = call.arguments
    value = low.values[id(tensor)]
    if fill != 0 or not value.channel_last or len(amounts) != 4 or min(amounts) < 0:
        raise UserError(f"cannot write padding by {list(amounts)} with {fill} as a TFLite operator")
    left, right, top, bottom = amounts
    pads = tuple(had + more for had, more in zip(value.pads, (top, bottom, left, right), strict=True))
    return replace(value, pads=pads)


@HANDLERS.of("avg_pool2d")
def _average_pool(low: Lowering, call: Call) -> Value:
    tensor, kernel, stride, own, ceil, counts_pads, divisor = call.arguments
    if ceil or divisor or (counts_pads and any(own)):
        raise UserError("cannot write average pooling that counts its padding as a TFLite operator")
    return _pool(low, tensor, "AVERAGE_POOL_2D", kernel, stride or kernel, own)


@HANDLERS.of("max_pool2d_with_indices")
def _max_pool(low: Lowering, call: Call) -> Value:
    tensor, kernel, stride, own, dilation, ceil = call.arguments
    if ceil or any(one != 1 for one in dilation):
        raise UserError("cannot write dilated max pooling as a TFLite operator")
    return _pool(low, tensor, "MAX_POOL_2D", kernel, stride or kernel, own)


def _pool(low: Lowering, tensor: Tensor, kind: str, kernel: Any, stride: Any, own: Any) -> Value:
    size, step = (kernel[0], kernel[-1]), (stride[0], stride[-1])
    vertical, horizontal = own[0], own[-1]
    low.values[id(tensor)] = low.value(tensor)  # zeros put there by hand count, those of the pooling do not
    source, padding = _window(low, tensor, (vertical, horizontal), (size[0] - 1, size[1] - 1), step)
    if padding == operators.VALID and (vertical or horizontal):
        raise UserError("cannot write pooling with this padding as a TFLite operator, only TensorFlow's SAME")
    return Value(operators.pooled(low.graph, source, kind, size, step, padding), True)


def _window(
    low: Lowering, tensor: Tensor, own: tuple[int, int], reach: tuple[int, int], strides: tuple[int, int]
) -> tuple[int, str]:
    """Return the input of a convolution or pooling and its padding, SAME where all zeros around it amount to that."""
    value = low.values[id(tensor)]
    top, bottom, left, right = value.pads
    pads = (top + own[0], bottom + own[0], left + own[1], right + own[1])
    _, height, width, _ = low.graph.shape(value.index)
    if pads == (*_same_pads(height, reach[0], strides[0]), *_same_pads(width, reach[1], strides[1])):
        return value.index, operators.SAME
    return (value.index if pads == NO_PADS else operators.pad(low.graph, value.index, *pads)), operators.VALID


def _same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding before and after, for a kernel that reaches `reach` pixels beyond its first."""
    needed = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
    return needed // 2, needed - needed // 2
