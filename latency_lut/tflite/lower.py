"""From the ATen calls of a module to the operators of a TFLite graph.

Batch norm is folded into the convolution before it, ReLU and ReLU6 are fused, explicit padding becomes SAME where it is
that, and images are channel-last throughout: what a conversion by litert-torch gives, less its transposes and pads.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_leaves

from latency_lut.tflite import layers
from latency_lut.tflite.graph import Array, Graph, Operator
from latency_lut.tflite.trace import Call, Trace
from searchspace.support.errors import UserError

_WITH_ACTIVATION = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "FULLY_CONNECTED"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_TO_CHANNEL_LAST = (0, 2, 3, 1)
_NO_PADS = (0, 0, 0, 0)

Handler = Callable[["_Lowering", Call], "Value | None"]
_HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True)
class Value:
    """A tensor of the graph; `channel_last` where torch's (n, c, h, w) is stored as (n, h, w, c).

    `pads` (top, bottom, left, right) are zeros around it that no operator has put there yet.
    """

    index: int
    channel_last: bool
    pads: tuple[int, int, int, int] = _NO_PADS


def lower(trace: Trace) -> Graph:
    """Return the graph of a trace; raises UserError naming the first call that has no TFLite operator here."""
    lowering = _Lowering(trace)
    for call in trace.calls:
        handler = _HANDLERS.get(call.name)
        if handler is None:
            raise UserError(f"cannot write {call.name} as a TFLite operator; known are {', '.join(sorted(_HANDLERS))}")
        made = handler(lowering, call)
        if made is not None:
            result = call.result[0] if isinstance(call.result, tuple | list) else call.result
            lowering.values[id(result)] = made
    graph = lowering.graph
    graph.outputs = [lowering.value(tensor).index for tensor in trace.outputs.values()]
    graph.output_names = list(trace.outputs)
    return graph


def _handles(*names: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


class _Lowering:
    def __init__(self, trace: Trace) -> None:
        self.graph = Graph()
        batch, channels, height, width = trace.source.shape
        self.values = {id(trace.source): Value(self.graph.input((batch, height, width, channels)), True)}
        used = [leaf for call in trace.calls for leaf in tree_leaves(call.arguments) if isinstance(leaf, Tensor)]
        self.uses = Counter(map(id, (*used, *trace.outputs.values())))

    def value(self, tensor: Tensor) -> Value:
        """Return the value of a tensor with its pads in place; a constant is added to the graph."""
        if id(tensor) not in self.values:
            return self._constant(tensor)
        value = self.values[id(tensor)]
        if value.pads == _NO_PADS:
            return value
        return Value(layers.pad(self.graph, value.index, *value.pads), True)

    def _constant(self, tensor: Tensor) -> Value:
        array = _array(tensor)
        if array.ndim == 4:
            return Value(self.graph.constant(np.ascontiguousarray(array.transpose(_TO_CHANNEL_LAST))), True)
        return Value(self.graph.constant(array), False)

    def sole_producer(self, tensor: Tensor, names: frozenset[str]) -> Operator | None:
        """Return the operator that makes a tensor nobody else uses, if it is one of `names` and not activated yet."""
        value = self.values.get(id(tensor))
        if value is None or value.pads != _NO_PADS or self.uses[id(tensor)] != 1:
            return None
        operator = self.graph.producer(value.index)
        if operator is None or operator.name not in names or operator.fields.get("fusedActivationFunction", 0):
            return None
        return operator

    def fuse(self, tensor: Tensor, activation: str) -> Value:
        """Put an activation into the operator that makes `tensor`, or behind it."""
        operator = self.sole_producer(tensor, _WITH_ACTIVATION)
        value = self.value(tensor)
        if operator is None:
            return replace(value, index=self.graph.operator(activation, [value.index], self.graph.shape(value.index)))
        operator.fields["fusedActivationFunction"] = getattr(self.graph.schema.ActivationFunctionType, activation)
        return value


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().float().numpy()


def _axis(value: Value, axis: int, dimensions: int) -> int:
    """Return where torch's axis lies in the stored tensor."""
    axis %= dimensions
    return _TO_CHANNEL_LAST.index(axis) if value.channel_last else axis


def _same_pads(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding before and after, for a kernel that reaches `reach` pixels beyond its first."""
    needed = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
    return needed // 2, needed - needed // 2


def _window(
    low: _Lowering, tensor: Tensor, own: tuple[int, int], reach: tuple[int, int], stride: int
) -> tuple[int, str]:
    """Return the input of a convolution or pooling and its padding, SAME where all zeros around it amount to that."""
    value = low.values[id(tensor)]
    top, bottom, left, right = value.pads
    pads = (top + own[0], bottom + own[0], left + own[1], right + own[1])
    _, height, width, _ = low.graph.shape(value.index)
    if pads == (*_same_pads(height, reach[0], stride), *_same_pads(width, reach[1], stride)):
        return value.index, layers.SAME
    return (value.index if pads == _NO_PADS else layers.pad(low.graph, value.index, *pads)), layers.VALID


@_handles("convolution")
def _convolution(low: _Lowering, call: Call) -> Value:
    tensor, weight, bias, (stride, _), own, (dilation, _), transposed, _, groups = call.arguments
    if transposed:
        raise UserError("cannot write a transposed convolution as a TFLite operator")
    reach = (dilation * (weight.shape[2] - 1), dilation * (weight.shape[3] - 1))
    source, padding = _window(low, tensor, tuple(own), reach, stride)
    depthwise = groups > 1 and groups == tensor.shape[1]
    weights = _array(weight).transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    shift = np.zeros(weight.shape[0], np.float32) if bias is None else _array(bias)
    constants = [low.graph.constant(np.ascontiguousarray(weights)), low.graph.constant(shift)]
    options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding, "depthwise": depthwise}
    return Value(layers.convolve(low.graph, source, constants, **options), True)


@_handles("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def _batch_norm(low: _Lowering, call: Call) -> Value:
    tensor, weight, bias, running_mean, running_var = call.arguments[:5]
    epsilon = float(call.arguments[-1])
    scale = 1 / np.sqrt(_array(running_var).astype(np.float64) + epsilon)
    scale = scale if weight is None else scale * _array(weight)
    shift = -_array(running_mean) * scale + (0 if bias is None else _array(bias))
    operator, graph = low.sole_producer(tensor, _CONVOLUTIONS), low.graph
    value = low.value(tensor)
    if operator is None:
        factor, term = (graph.constant(part.astype(np.float32)) for part in (scale, shift))
        return replace(value, index=layers.add(graph, layers.multiply(graph, value.index, factor), term))
    _, weights, offset = operator.inputs
    along = scale if operator.name == "DEPTHWISE_CONV_2D" else scale[:, None, None, None]
    graph.constants[weights] = (graph.constants[weights] * along).astype(np.float32)
    graph.constants[offset] = (graph.constants[offset] * scale + shift).astype(np.float32)
    return value


@_handles("constant_pad_nd")
def _constant_pad(low: _Lowering, call: Call) -> Value:
    tensor, amounts, fill = call.arguments
    value = low.values[id(tensor)]
    if fill != 0 or not value.channel_last or len(amounts) != 4 or min(amounts) < 0:
        raise UserError(f"cannot write padding by {list(amounts)} with {fill} as a TFLite operator")
    left, right, top, bottom = amounts
    pads = tuple(had + more for had, more in zip(value.pads, (top, bottom, left, right), strict=True))
    return replace(value, pads=pads)


@_handles("relu", "relu_")
def _relu(low: _Lowering, call: Call) -> Value:
    return low.fuse(call.arguments[0], layers.RELU)


@_handles("hardtanh", "hardtanh_", "relu6", "clamp")
def _relu6(low: _Lowering, call: Call) -> Value:
    if tuple(call.arguments[1:3]) not in ((), (0, 6)):
        raise UserError(f"cannot write clamping to {call.arguments[1:3]} as a TFLite operator, only to 0..6")
    return low.fuse(call.arguments[0], layers.RELU6)


@_handles("hardswish", "hardswish_")
def _hard_swish(low: _Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    return replace(value, index=layers.hard_swish(low.graph, value.index))


@_handles("sigmoid", "sigmoid_")
def _sigmoid(low: _Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    return replace(value, index=layers.logistic(low.graph, value.index))


@_handles("hardsigmoid", "hardsigmoid_")
def _hard_sigmoid(low: _Lowering, call: Call) -> Value:
    """Write relu6(x + 3) / 6; behind a convolution the 3 goes into its bias and the clamping is fused."""
    graph, tensor = low.graph, call.arguments[0]
    operator, value = low.sole_producer(tensor, _CONVOLUTIONS), low.value(tensor)
    clamped = value.index
    if operator is None:
        clamped = layers.add(graph, value.index, graph.constant(np.array(3, np.float32)))
        operator = graph.operators[-1]
    else:
        graph.constants[operator.inputs[2]] = graph.constants[operator.inputs[2]] + np.float32(3)
    operator.fields["fusedActivationFunction"] = graph.schema.ActivationFunctionType.RELU6
    return replace(value, index=layers.multiply(graph, clamped, graph.constant(np.array(1 / 6, np.float32))))


@_handles("mean.dim", "_adaptive_avg_pool2d")
def _mean(low: _Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    axes, keep_dims = (call.arguments[1], call.arguments[2]) if call.name == "mean.dim" else ((2, 3), True)
    over_the_map = value.channel_last and sorted(axis % 4 for axis in axes) == [2, 3]
    if not over_the_map or (call.name != "mean.dim" and tuple(call.arguments[1]) != (1, 1)):
        raise UserError(f"cannot write {call.name} over {list(call.arguments[1])}, only the mean of whole maps")
    return Value(layers.mean(low.graph, value.index, keep_dims=keep_dims), keep_dims)


@_handles("add.Tensor", "add_.Tensor")
def _add(low: _Lowering, call: Call) -> Value:
    if call.arguments[2] != 1:
        raise UserError("cannot write a weighted addition as a TFLite operator")
    return _elementwise(low, call, layers.add)


@_handles("mul.Tensor", "mul_.Tensor")
def _multiply(low: _Lowering, call: Call) -> Value:
    return _elementwise(low, call, layers.multiply)


def _elementwise(low: _Lowering, call: Call, operator: Callable[[Graph, int, int], int]) -> Value:
    pair = [low.value(one) if isinstance(one, Tensor) else None for one in call.arguments[:2]]
    known = next(one for one in pair if one is not None)
    left, right = (
        low.graph.constant(np.array(raw, np.float32)) if one is None else one.index
        for one, raw in zip(pair, call.arguments, strict=False)
    )
    # The larger operand goes first; the other is broadcast.
    left, right = sorted((left, right), key=lambda index: -math.prod(low.graph.shape(index)))
    return replace(known, index=operator(low.graph, left, right))


@_handles("slice.Tensor")
def _slice(low: _Lowering, call: Call) -> Value:
    tensor, dimension, begin, end, step = call.arguments
    value = low.value(tensor)
    length = tensor.shape[dimension]
    begin, end, _ = slice(begin, end).indices(length)
    if step != 1:
        raise UserError("cannot write a slice with a step as a TFLite operator")
    if (begin, end) == (0, length):
        return value
    axis = _axis(value, dimension, tensor.ndim)
    return replace(value, index=layers.cut(low.graph, value.index, axis, begin, end - begin))


@_handles("cat")
def _cat(low: _Lowering, call: Call) -> Value:
    tensors, dimension = call.arguments
    parts = [low.value(tensor) for tensor in tensors]
    axis = _axis(parts[0], dimension, tensors[0].ndim)
    return replace(parts[0], index=layers.join(low.graph, [part.index for part in parts], axis))


@_handles("view", "_unsafe_view", "reshape")
def _view(low: _Lowering, call: Call) -> Value:
    tensor, shape = call.arguments[0], tuple(call.result.shape)
    value, graph = low.value(tensor), low.graph
    if shape == tuple(tensor.shape):
        return value
    if value.channel_last and math.prod(tensor.shape[2:]) != 1:
        raise UserError(f"cannot write a reshape from {tuple(tensor.shape)} to {shape}: permute to channel-last first")
    operator = low.sole_producer(tensor, frozenset({"MEAN"}))
    if operator is not None and shape == tuple(tensor.shape[:2]):
        operator.fields["keepDims"] = False  # as the converter writes pooling in front of the classifier
        graph.reshape(value.index, shape)
        return Value(value.index, False)
    return Value(layers.reshaped(graph, value.index, shape), False)


@_handles("permute")
def _permute(low: _Lowering, call: Call) -> Value:
    tensor, order = call.arguments[0], tuple(axis % call.result.ndim for axis in call.arguments[1])
    value = low.value(tensor)
    if value.channel_last and order == _TO_CHANNEL_LAST:
        return replace(value, channel_last=False)
    if value.channel_last:
        raise UserError(f"cannot write the order {list(order)} of axes, only channel-last")
    return Value(layers.permuted(low.graph, value.index, order), False)


@_handles("addmm")
def _addmm(low: _Lowering, call: Call) -> Value:
    bias, tensor, weight = call.arguments[:3]
    constants = [low.graph.constant(np.ascontiguousarray(_array(weight).T)), low.graph.constant(_array(bias))]
    return Value(layers.fully_connected(low.graph, low.value(tensor).index, constants), False)


@_handles("mm")
def _mm(low: _Lowering, call: Call) -> Value:
    tensor, weight = call.arguments
    zeros = np.zeros(weight.shape[1], np.float32)
    constants = [low.graph.constant(np.ascontiguousarray(_array(weight).T)), low.graph.constant(zeros)]
    return Value(layers.fully_connected(low.graph, low.value(tensor).index, constants), False)


@_handles("upsample_bilinear2d")
def _upsample(low: _Lowering, call: Call) -> Value:
    tensor, size, align_corners = call.arguments[:3]
    value = low.value(tensor)
    resized = layers.resized(low.graph, value.index, (size[0], size[1]), align_corners=align_corners)
    return replace(value, index=resized)


@_handles("avg_pool2d")
def _average_pool(low: _Lowering, call: Call) -> Value:
    tensor, kernel, stride, own, ceil, counts_pads, divisor = call.arguments
    if ceil or divisor or (counts_pads and any(own)):
        raise UserError("cannot write average pooling that counts its padding as a TFLite operator")
    return _pool(low, tensor, "AVERAGE_POOL_2D", kernel, stride or kernel, own)


@_handles("max_pool2d_with_indices")
def _max_pool(low: _Lowering, call: Call) -> Value:
    tensor, kernel, stride, own, dilation, ceil = call.arguments
    if ceil or any(one != 1 for one in dilation):
        raise UserError("cannot write dilated max pooling as a TFLite operator")
    return _pool(low, tensor, "MAX_POOL_2D", kernel, stride or kernel, own)


def _pool(low: _Lowering, tensor: Tensor, kind: str, kernel: Any, stride: Any, own: Any) -> Value:
    size, step, (vertical, horizontal) = kernel[0], stride[0], (own[0], own[-1])
    low.values[id(tensor)] = low.value(tensor)  # zeros put there by hand count, those of the pooling do not
    source, padding = _window(low, tensor, (vertical, horizontal), (size - 1, size - 1), step)
    if padding == layers.VALID and (vertical or horizontal):
        raise UserError("cannot write pooling with this padding as a TFLite operator, only TensorFlow's SAME")
    return Value(layers.pooled(low.graph, source, kind, size, step, padding), True)


@_handles("clone", "detach", "alias", "contiguous", "dropout", "lift_fresh")
def _nothing(low: _Lowering, call: Call) -> Value:
    return low.values[id(call.arguments[0])]
