"""Activations and arithmetic as TFLite operators; ReLU and ReLU6 are fused into what makes their input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor

from latency_lut.tflite import operators
from latency_lut.tflite.graph import Graph
from latency_lut.tflite.lowering import (
    CONVOLUTIONS,
    Handlers,
    Lowering,
    Value,
)
from latency_lut.tflite.trace import Call
from searchspace.support.errors import UserError

HANDLERS = Handlers()


@HANDLERS.of("relu", "relu_")
def _relu(low: Lowering, call: Call) -> Value:
    return low.fuse(call.arguments[0], operators.RELU)


@HANDLERS.of("hardtanh", "hardtanh_", "relu6", "clamp")
def _relu6(low: Lowering, call: Call) -> Value:
    if tuple(call.arguments[1:3]) not in ((), (0, 6)):
        raise UserError(f"cannot write clamping to {call.arguments[1:3]} as a TFLite operator, only to 0..6")
    return low.fuse(call.arguments[0], operators.RELU6)


@HANDLERS.of("hardswish", "hardswish_")
def _hard_swish(low: Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    return replace(value, index=operators.hard_swish(low.graph, value.index))


@HANDLERS.of("sigmoid", "sigmoid_")
def _sigmoid(low: Lowering, call: Call) -> Value:
    value = low.value(call.arguments[0])
    return replace(value, index=operators.logistic(low.graph, value.index))


@HANDLERS.of("hardsigmoid", "hardsigmoid_")
def _hard_sigmoid(low: Lowering, call: Call) -> Value:
    """Write relu6(x + 3) / 6; behind a convolution the 3 goes into its bias and the clamping is fused."""
    graph, tensor = low.graph, call.arguments[0]
    operator, value = low.sole_producer(tensor, CONVOLUTIONS), low.value(tensor)
    clamped = value.index
    if operator is None:
        clamped = operators.add(graph, value.index, graph.constant(np.array(3, np.float32)))
        operator = graph.operators[-1]
    else:
        graph.constants[operator.inputs[2]] = graph.constants[operator.inputs[2]] + np.float32(3)
    operator.fields["fusedActivationFunction"] = graph.schema.ActivationFunctionType.RELU6
    return replace(value, index=operators.multiply(graph, clamped, graph.constant(np.array(1 / 6, np.float32))))


@HANDLERS.of("add.Tensor", "add_.Tensor")
def _add(low: Lowering, call: Call) -> Value:
    if call.arguments[2] != 1:
        raise UserError("cannot write a weighted addition as a TFLite operator")
    return _elementwise(low, call, operators.add)


@HANDLERS.of("mul.Tensor", "mul_.Tensor")
def _multiply(low: Lowering, call: Call) -> Value:
    return _elementwise(low, call, operators.multiply)


def _elementwise(low: Lowering, call: Call, operator: Callable[[Graph, int, int], int]) -> Value:
    pair = [low.value(one) if isinstance(one, Tensor) else None for one in call.arguments[:2]]
    known = next(one for one in pair if one is not None)
    left, right = (
        low.graph.constant(np.array(raw, np.float32)) if one is None else one.index
        for one, raw in zip(pair, call.arguments, strict=False)
    )
    # The larger operand goes first; the other is broadcast.
    left, right = sorted((left, right), key=lambda index: -math.prod(low.graph.shape(index)))
    return replace(known, index=operator(low.graph, left, right))


@HANDLERS.of("clone", "detach", "alias", "contiguous", "dropout", "lift_fresh")
def _nothing(low: Lowering, call: Call) -> Value:
    return low.values[id(call.arguments[0])]
