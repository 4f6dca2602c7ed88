"""Means, cuts, joins, other shapes and orders of axes, fully connected layers and resizing as TFLite operators."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from latency_lut.tflite import operators
from latency_lut.tflite.lowering import (
    TO_CHANNEL_LAST,
    Handlers,
    Lowering,
    Value,
    stored_axis,
    to_array,
)
from latency_lut.tflite.trace import Call
from searchspace.support.errors import UserError

HANDLERS = Handlers()


@HANDLERS.of("mean.dim", "_adaptive_avg_pool2d")
def _mean(low: Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    axes, keep_dims = (call.arguments[1], call.arguments[2]) if call.name == "mean.dim" else ((2, 3), True)
    over_the_map = value.channel_last and sorted(axis % 4 for axis in axes) == [2, 3]
    if not over_the_map or (call.name != "mean.dim" and tuple(call.arguments[1]) != (1, 1)):
        raise UserError(f"cannot write {call.name} over {list(call.arguments[1])}, only the mean of whole maps")
    return Value(operators.mean(low.graph, value.index, keep_dims=keep_dims), keep_dims)


@HANDLERS.of("slice.Tensor")
def _slice(low: Lowering, call: Call) -> Value:
    tensor, dimension, begin, end, step = call.arguments
    value = low.value(tensor)
    length = tensor.shape[dimension]
    begin, end, _ = slice(begin, end).indices(length)
    if step != 1:
        raise UserError("cannot write a slice with a step as a TFLite operator")
    if (begin, end) == (0, length):
        return value
    axis = stored_axis(value, dimension, tensor.ndim)
    return replace(value, index=operators.cut(low.graph, value.index, axis, begin, end - begin))


@HANDLERS.of("cat")
def _cat(low: Lowering, call: Call) -> Value:
    tensors, dimension = call.arguments
    parts = [low.value(tensor) for tensor in tensors]
    axis = stored_axis(parts[0], dimension, tensors[0].ndim)
    return replace(parts[0], index=operators.join(low.graph, [part.index for part in parts], axis))


@HANDLERS.of("view", "_unsafe_view", "reshape")
def _view(low: Lowering, call: Call) -> Value:
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
    return Value(operators.reshaped(graph, value.index, shape), False)


@HANDLERS.of("permute")
def _permute(low: Lowering, call: Call) -> Value:
    tensor, order = call.arguments[0], tuple(axis % call.result.ndim for axis in call.arguments[1])
    value = low.value(tensor)
    if value.channel_last and order == TO_CHANNEL_LAST:
        return replace(value, channel_last=False)
    if value.channel_last:
        raise UserError(f"cannot write the order {list(order)} of axes, only channel-last")
    return Value(operators.permuted(low.graph, value.index, order), False)


@HANDLERS.of("addmm")
def _addmm(low: Lowering, call: Call) -> Value:
    bias, tensor, weight = call.arguments[:3]
    constants = [low.graph.constant(np.ascontiguousarray(to_array(weight).T)), low.graph.constant(to_array(bias))]
    return Value(operators.fully_connected(low.graph, low.value(tensor).index, constants), False)


@HANDLERS.of("mm")
def _mm(low: Lowering, call: Call) -> Value:
    tensor, weight = call.arguments
    zeros = np.zeros(weight.shape[1], np.float32)
    constants = [low.graph.constant(np.ascontiguousarray(to_array(weight).T)), low.graph.constant(zeros)]
    return Value(operators.fully_connected(low.graph, low.value(tensor).index, constants), False)


@HANDLERS.of("upsample_bilinear2d")
def _upsample(low: Lowering, call: Call) -> Value:
    tensor, size, align_corners = call.arguments[:3]
    value = low.value(tensor)
    resized = operators.resized(low.graph, value.index, (size[0], size[1]), align_corners=align_corners)
    return replace(value, index=resized)
