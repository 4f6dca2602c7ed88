"""TFLite models to time: single ops and whole networks, written in milliseconds.

Each op becomes the operators that litert-torch makes of it inside a converted network (hard-sigmoid's division is a
MUL, global pooling is MEAN, a partial shortcut is SLICE and CONCATENATION, ...); a test compares the two. A real
conversion takes about a second for one op and half a minute for a network. Only activations fused into a convolution,
which cost nothing, may differ: an `Op` does not know them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from latency_lut.measure._graph import Graph
from searchspace.architecture import Architecture
from searchspace.ops import Op, OpKind

# Rough speed of a slow core, only used to choose how many copies make a call long enough to time.
_MADDS_PER_US = 10_000.0
_BYTES_PER_US = 4_000.0
_WANTED_CALL_US = 100.0
# A fully connected layer uses each weight once, and in a network these have left the caches near the core since the
# last run. Copies with as many weights together as a network reproduce that; convolutions reuse theirs and do not care.
_NETWORK_WEIGHT_BYTES = 16e6
MAX_COPIES = 32


def copies_of(op: Op) -> int:
    """Return how many copies of the op a timed model holds, 1 to 32.

    Enough to make a call some 0.1 ms long, so that calling costs little, and to find the weights of a fully connected
    layer as far from the core as a network finds them.
    """
    traffic = 4 * (op.in_size**2 * op.in_channels + op.out_size**2 * op.out_channels + op.params)
    estimate_us = op.madds / _MADDS_PER_US + traffic / _BYTES_PER_US
    copies = _WANTED_CALL_US / max(estimate_us, 1e-3)
    if op.kind is OpKind.LINEAR:
        copies = max(copies, _NETWORK_WEIGHT_BYTES / (4 * op.params))
    return int(np.clip(copies, 1, MAX_COPIES))


def op_model(op: Op, copies: int = 1, seed: int = 0) -> bytes:
    """Return a float32 TFLite model that runs `op` on the same input `copies` times, side by side.

    Copies share their weights in the file; the runtime packs them for each. Raises UserError when ai-edge-litert is
    not installed.
    """
    graph = Graph(seed)
    source = graph.input((1, op.in_size, op.in_size, op.in_channels))
    constants = _constants(graph, op, source)
    for _ in range(copies):
        match op.kind:
            case OpKind.ADD:
                other = graph.inputs[1] if len(graph.inputs) > 1 else graph.input(graph.shape(source))
                graph.outputs.append(_add(graph, source, other))
            case OpKind.SCALE:
                gate = graph.inputs[1] if len(graph.inputs) > 1 else graph.input((1, 1, 1, op.in_channels))
                graph.outputs.append(_multiply(graph, source, gate))
            case OpKind.CONCAT:
                half, rest = op.in_channels // 2, op.in_channels - op.in_channels // 2
                first = _slice(graph, source, 0, half)
                graph.outputs += [
                    _slice(graph, source, 0, half),
                    _joined(graph, first, _slice(graph, source, half, rest)),
                ]
            case _:
                graph.outputs.append(_apply(graph, op, source, constants))
    return graph.packed()


def network_model(architecture: Architecture, seed: int = 0) -> bytes:
    """Return a float32 TFLite model of the whole network with random weights, for timing.

    Raises UserError when ai-edge-litert is not installed.
    """
    graph = Graph(seed)
    size = architecture.resolution
    current = graph.input((1, size, size, 3))
    for layer in architecture.ops():
        current = _layer(graph, layer.ops, current)
    graph.outputs = [current]
    return graph.packed()


def _layer(graph: Graph, ops: tuple[Op, ...], source: int) -> int:
    """Run the ops of one layer in order; POOL to SCALE work on the side, shortcuts reach back to `source`."""
    current = excited = source
    joined_next = [following.kind is OpKind.CONCAT for _, following in pairwise(ops)] + [False]
    squeezes = any(op.kind is OpKind.SCALE for op in ops)
    for op, rejoin in zip(ops, joined_next, strict=True):
        match op.kind:
            case OpKind.POOL:
                excited, current = current, _pool(graph, current, keep_dims=squeezes)
            case OpKind.SCALE:
                current = _multiply(graph, excited, current)
            case OpKind.ADD if rejoin:
                current = _add_partly(graph, source, current, op.in_channels)
            case OpKind.ADD:
                current = _add(graph, source, current)
            case OpKind.CONCAT:
                pass  # emitted together with the addition before it
            case _:
                current = _apply(graph, op, current, _constants(graph, op, current))
    return current


def _constants(graph: Graph, op: Op, source: int) -> list[int]:
    """Add the weights and bias of an op, or its other constant operand."""
    match op.kind:
        case OpKind.CONV:
            return [
                graph.weights(op.out_channels, op.kernel, op.kernel, op.in_channels),
                graph.weights(op.out_channels),
            ]
        case OpKind.DWCONV:
            return [graph.weights(1, op.kernel, op.kernel, op.in_channels), graph.weights(op.in_channels)]
        case OpKind.LINEAR:
            shape = (op.in_channels,) if len(graph.shape(source)) == 2 else (1, 1, op.in_channels)
            return [graph.weights(op.out_channels, *shape), graph.weights(op.out_channels)]
        case OpKind.SIGMOID:
            return [graph.constant(np.array(1 / 6, np.float32))]
        case _:
            return []


def _apply(graph: Graph, op: Op, source: int, constants: list[int]) -> int:
    """Add an op that has one input; return its output."""
    match op.kind:
        case OpKind.CONV | OpKind.DWCONV:
            return _convolve(graph, op, source, constants)
        case OpKind.LINEAR if len(graph.shape(source)) == 2:
            return graph.operator(
                "FULLY_CONNECTED", [source, *constants], (1, op.out_channels), "FullyConnectedOptions"
            )
        case OpKind.LINEAR:  # squeeze-excite keeps its maps 4-D, so that litert-torch makes it a convolution
            return _convolve(graph, op, source, constants)
        case OpKind.POOL:
            return _pool(graph, source, keep_dims=True)
        case OpKind.SIGMOID:
            return _multiply(graph, source, constants[0])
        case OpKind.HSWISH:
            return graph.operator("HARD_SWISH", [source], graph.shape(source), "HardSwishOptions")
    raise AssertionError(f"{op.kind} has several inputs")


def _convolve(graph: Graph, op: Op, source: int, constants: list[int]) -> int:
    depthwise = op.kind is OpKind.DWCONV
    extra = {"depthMultiplier": 1} if depthwise else {}
    return graph.operator(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [source, *constants],
        (1, op.out_size, op.out_size, op.out_channels),
        "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions",
        padding=graph.schema.Padding.SAME,
        strideW=op.stride,
        strideH=op.stride,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=graph.schema.ActivationFunctionType.RELU6,
        **extra,
    )


def _pool(graph: Graph, source: int, keep_dims: bool) -> int:
    channels = graph.shape(source)[-1]
    shape = (1, 1, 1, channels) if keep_dims else (1, channels)
    axes = graph.constant(np.array([1, 2], np.int32))
    return graph.operator("MEAN", [source, axes], shape, "ReducerOptions", keepDims=keep_dims)


def _add(graph: Graph, left: int, right: int) -> int:
    return graph.operator("ADD", [left, right], graph.shape(left), "AddOptions")


def _multiply(graph: Graph, left: int, right: int) -> int:
    return graph.operator("MUL", [left, right], graph.shape(left), "MulOptions")


def _slice(graph: Graph, source: int, begin: int, count: int) -> int:
    shape = (*graph.shape(source)[:3], count)
    start = graph.constant(np.array([0, 0, 0, begin], np.int32))
    extent = graph.constant(np.array(shape, np.int32))
    return graph.operator("SLICE", [source, start, extent], shape, "SliceOptions")


def _add_partly(graph: Graph, identity: int, output: int, channels: int) -> int:
    """Add the first `channels` channels of `identity` to those of `output`; the others pass by."""
    total = graph.shape(output)[3]
    added = _add(graph, _slice(graph, identity, 0, channels), _slice(graph, output, 0, channels))
    return _joined(graph, added, _slice(graph, output, channels, total - channels))


def _joined(graph: Graph, first: int, rest: int) -> int:
    shape = (*graph.shape(first)[:3], graph.shape(first)[3] + graph.shape(rest)[3])
    return graph.operator("CONCATENATION", [first, rest], shape, "ConcatenationOptions", axis=3)
