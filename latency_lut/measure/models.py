"""TFLite models to time: single ops and whole networks, written in milliseconds by the writer that also exports.

An op becomes the operators that it is inside an exported network (hard-sigmoid's division is a MUL, global pooling is
MEAN, a partial shortcut is SLICE and CONCATENATION, ...). Only activations fused into a convolution, which cost
nothing, may differ: an `Op` does not know them.
"""

from __future__ import annotations

import numpy as np

from latency_lut.tflite import module_model, operators
from latency_lut.tflite.graph import Graph
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
TIMED = "built to be timed; weights are random"


def copies_of(op: Op) -> int:
    """Return how many copies of the op a timed model holds, 1 to 32.

    Enough to make a call some 0.1 ms long, so that calling costs little, and to find the weights of a fully connected
    layer as far from the core as a network finds them.
    """
    traffic = 4 * (op.in_pixels * op.in_channels + op.out_pixels * op.out_channels + op.params)
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
    source = graph.input((1, *op.in_shape, op.in_channels))
    constants = _constants(graph, op, source)
    for _ in range(copies):
        match op.kind:
            case OpKind.ADD:
                other = graph.inputs[1] if len(graph.inputs) > 1 else graph.input(graph.shape(source))
                graph.outputs.append(operators.add(graph, source, other))
            case OpKind.SCALE:
                gate = graph.inputs[1] if len(graph.inputs) > 1 else graph.input((1, 1, 1, op.in_channels))
                graph.outputs.append(operators.multiply(graph, source, gate))
            case OpKind.CONCAT:
                half, rest = op.in_channels // 2, op.in_channels - op.in_channels // 2
                first, again, second = (
                    operators.cut(graph, source, 3, begin, count)
                    for begin, count in ((0, half), (0, half), (half, rest))
                )
                graph.outputs += [again, operators.join(graph, [first, second], 3)]
            case _:
                graph.outputs.append(_apply(graph, op, source, constants))
    return graph.packed(description=TIMED)


def network_model(architecture: Architecture, seed: int = 0) -> bytes:
    """Return a float32 TFLite model of the whole network with random weights, for timing.

    Raises UserError when ai-edge-litert is not installed.
    """
    from searchspace.modules import build_network

    size = architecture.resolution
    return module_model(build_network(architecture, seed=seed), (1, 3, size, size), description=TIMED)


def _constants(graph: Graph, op: Op, source: int) -> list[int]:
    """Add the weights and bias of an op, or its other constant operand."""
    match op.kind:
        case OpKind.CONV:
            weights = graph.weights(op.out_channels, *op.kernel_shape, op.in_channels)
        case OpKind.DWCONV:
            weights = graph.weights(1, *op.kernel_shape, op.in_channels)
        case OpKind.LINEAR:  # squeeze-excite keeps its maps 4-D, which makes it a convolution
            weights = graph.weights(op.out_channels, 1, 1, op.in_channels)
        case OpKind.SIGMOID:
            return [graph.constant(np.array(1 / 6, np.float32))]
        case _:
            return []
    return [weights, graph.weights(op.out_channels)]


def _apply(graph: Graph, op: Op, source: int, constants: list[int]) -> int:
    """Add an op that has one input; return its output."""
    match op.kind:
        case OpKind.CONV | OpKind.DWCONV | OpKind.LINEAR:
            depthwise = op.kind is OpKind.DWCONV
            return operators.convolve(
                graph,
                source,
                constants,
                strides=op.strides,
                dilation=op.dilation,
                depthwise=depthwise,
                activation=operators.RELU6,
            )
        case OpKind.POOL:
            return operators.mean(graph, source, keep_dims=True)
        case OpKind.PAD:
            down, along = (kernel // 2 for kernel in op.kernel_shape)
            return operators.pad(graph, source, down, down, along, along)
        case OpKind.MAXPOOL:
            return operators.pooled(graph, source, "MAX_POOL_2D", op.kernel_shape, op.strides, operators.SAME)
        case OpKind.AVGPOOL:
            return operators.pooled(graph, source, "AVERAGE_POOL_2D", op.kernel_shape, op.strides, operators.SAME)
        case OpKind.RESIZE:
            return operators.resized(graph, source, op.out_shape, align_corners=False)
        case OpKind.RELU:
            return graph.operator("RELU", [source], graph.shape(source))
        case OpKind.SIGMOID:
            return operators.multiply(graph, source, constants[0])
        case OpKind.HSWISH:
            return operators.hard_swish(graph, source)
    raise AssertionError(f"{op.kind} has several inputs")
