"""TFLite files of single ops, written in milliseconds instead of the second that a full conversion takes.

Each op becomes the operators that litert-torch emits for it inside a whole network (a stride-2 convolution is PAD and
a VALID convolution, hard-sigmoid's division is a MUL, global pooling is MEAN, ...); a test compares the two. One file
holds several copies of the op side by side, so that the time of calling the runtime does not drown a small op.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.errors import UserError
from searchspace.ops import Op, OpKind

Array = NDArray[Any]

# Rough speed of a small core, only used to choose how many copies make a call long enough to time.
_MADDS_PER_US = 10_000.0
_BYTES_PER_US = 4_000.0
_WANTED_CALL_US = 300.0
MAX_COPIES = 16


def copies_of(op: Op) -> int:
    """Return how many copies of the op a timed model holds: enough to make one call some 0.3 ms on a slow core."""
    traffic = 4 * (op.in_size**2 * op.in_channels + op.out_size**2 * op.out_channels + op.params)
    estimate_us = op.madds / _MADDS_PER_US + traffic / _BYTES_PER_US
    return int(np.clip(_WANTED_CALL_US / max(estimate_us, 1e-3), 1, MAX_COPIES))


def op_model(op: Op, copies: int = 1, seed: int = 0) -> bytes:
    """Return a float32 TFLite model that runs `op` on `copies` outputs of the same input.

    Weights are small random numbers from `seed`. Raises UserError when ai-edge-litert is not installed.
    """
    graph = _Graph(np.random.default_rng(seed))
    emit = _EMITTERS[op.kind]
    inputs = graph.inputs_for(op)
    weights = graph.weights_for(op)
    graph.outputs = [emit(graph, op, inputs, weights) for _ in range(copies)]
    return graph.packed()


class _Graph:
    """One TFLite subgraph under construction; tensors are referred to by their index."""

    def __init__(self, rng: np.random.Generator) -> None:
        try:
            from ai_edge_litert import schema_py_generated
        except ImportError as error:
            raise UserError(f"measuring ops needs ai-edge-litert, and {error.name} is missing") from error
        self.schema: Any = schema_py_generated
        self.rng = rng
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._subgraph = self.schema.SubGraphT()
        self._subgraph.name = "main"
        self._subgraph.tensors, self._subgraph.operators = [], []
        self._buffers = [self.schema.BufferT()]  # buffer 0 is the empty one, by the format's rule
        self._codes: list[int] = []

    def tensor(self, shape: Sequence[int], constant: Array | None = None) -> int:
        """Add a float32 tensor, or a constant of its own type, and return its index."""
        tensor = self.schema.TensorT()
        number = len(self._subgraph.tensors)
        tensor.name = f"t{number}"
        tensor.shape = list(shape)
        integer = constant is not None and constant.dtype == np.int32
        tensor.type = self.schema.TensorType.INT32 if integer else self.schema.TensorType.FLOAT32
        tensor.buffer = 0
        if constant is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._subgraph.tensors.append(tensor)
        return number

    def operator(self, name: str, inputs: Sequence[int], shape: Sequence[int], **options: Any) -> int:
        """Add the builtin operator `name` (CONV_2D, ...) with one output of `shape`; return the output's index."""
        code = getattr(self.schema.BuiltinOperator, name)
        if code not in self._codes:
            self._codes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = list(inputs), [self.tensor(shape)]
        type_name = options.pop("type", None)
        if type_name is not None:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, type_name)
            operator.builtinOptions = getattr(self.schema, f"{type_name}T")()
            for field, value in options.items():
                setattr(operator.builtinOptions, field, value)
        self._subgraph.operators.append(operator)
        return int(operator.outputs[0])

    def inputs_for(self, op: Op) -> list[int]:
        """Add the op's inputs: the feature map and, for ADD and SCALE, the second operand."""
        image = (1, op.in_size, op.in_size, op.in_channels)
        shapes = {OpKind.ADD: [image, image], OpKind.SCALE: [image, (1, 1, 1, op.in_channels)]}
        self.inputs = [self.tensor(shape) for shape in shapes.get(op.kind, [image])]
        return self.inputs

    def weights_for(self, op: Op) -> list[int]:
        """Add the op's constant operands, which all copies share (the runtime packs them for each copy)."""
        match op.kind:
            case OpKind.CONV:
                shapes = [(op.out_channels, op.kernel, op.kernel, op.in_channels), (op.out_channels,)]
            case OpKind.DWCONV:
                shapes = [(1, op.kernel, op.kernel, op.in_channels), (op.in_channels,)]
            case OpKind.LINEAR:
                shapes = [(op.out_channels, 1, 1, op.in_channels), (op.out_channels,)]
            case OpKind.POOL:
                return [self.tensor((2,), np.array([1, 2], np.int32))]
            case OpKind.SIGMOID:
                return [self.tensor((), np.array(1 / 6, np.float32))]
            case _:
                return []
        values = [self.rng.uniform(-0.1, 0.1, shape).astype(np.float32) for shape in shapes]
        return [self.tensor(shape, value) for shape, value in zip(shapes, values, strict=True)]

    def packed(self) -> bytes:
        """Return the finished file."""
        import flatbuffers

        schema = self.schema
        self._subgraph.inputs, self._subgraph.outputs = self.inputs, self.outputs
        model = schema.ModelT()
        model.version, model.description = 3, "one operation"
        model.subgraphs, model.buffers = [self._subgraph], self._buffers
        model.operatorCodes = [self._operator_code(code) for code in self._codes]
        model.signatureDefs = [self._signature()]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _operator_code(self, code: int) -> Any:
        entry = self.schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        return entry

    def _signature(self) -> Any:
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [self._named(f"input_{n}", index) for n, index in enumerate(self.inputs)]
        signature.outputs = [self._named(f"output_{n}", index) for n, index in enumerate(self.outputs)]
        return signature

    def _named(self, name: str, index: int) -> Any:
        entry = self.schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        return entry


def _image(op: Op) -> tuple[int, int, int, int]:
    return (1, op.out_size, op.out_size, op.out_channels)


def _padded(graph: _Graph, op: Op, source: int) -> tuple[int, int]:
    """Return the convolution's input and padding mode; strided ones are padded by an operator of their own."""
    padding = graph.schema.Padding
    if op.stride == 1:
        return source, padding.SAME
    before, size = op.kernel // 2, op.in_size + 2 * (op.kernel // 2)
    amounts = graph.tensor((4, 2), np.array([[0, 0], [before, before], [before, before], [0, 0]], np.int32))
    padded = graph.operator("PAD", [source, amounts], (1, size, size, op.in_channels), type="PadOptions")
    return padded, padding.VALID


def _convolution(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    source, padding = _padded(graph, op, inputs[0])
    name, extra = "CONV_2D", {"type": "Conv2DOptions"}
    if op.kind is OpKind.DWCONV:
        name, extra = "DEPTHWISE_CONV_2D", {"type": "DepthwiseConv2DOptions", "depthMultiplier": 1}
    return graph.operator(
        name,
        [source, *weights],
        _image(op),
        padding=padding,
        strideW=op.stride,
        strideH=op.stride,
        dilationWFactor=1,
        dilationHFactor=1,
        fusedActivationFunction=graph.schema.ActivationFunctionType.RELU6,
        **extra,
    )


def _pool(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    return graph.operator("MEAN", [*inputs, *weights], _image(op), type="ReducerOptions", keepDims=True)


def _add(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    return graph.operator("ADD", inputs, _image(op), type="AddOptions")


def _multiply(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    return graph.operator("MUL", [*inputs, *weights], _image(op), type="MulOptions")


def _hswish(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    return graph.operator("HARD_SWISH", inputs, _image(op), type="HardSwishOptions")


def _rejoin(graph: _Graph, op: Op, inputs: list[int], weights: list[int]) -> int:
    """Take the two halves of the channels apart and join them, as around the addition of a partial shortcut."""
    size, channels = op.in_size, op.in_channels
    first = max(channels // 2, 1)
    halves = []
    for begin, count in ((0, first), (first, channels - first)):
        start = graph.tensor((4,), np.array([0, 0, 0, begin], np.int32))
        extent = graph.tensor((4,), np.array([1, size, size, count], np.int32))
        shape = (1, size, size, count)
        halves.append(graph.operator("SLICE", [inputs[0], start, extent], shape, type="SliceOptions"))
    return graph.operator("CONCATENATION", halves, _image(op), type="ConcatenationOptions", axis=3)


_EMITTERS = {
    OpKind.CONV: _convolution,
    OpKind.DWCONV: _convolution,
    OpKind.LINEAR: _convolution,
    OpKind.POOL: _pool,
    OpKind.ADD: _add,
    OpKind.SCALE: _multiply,
    OpKind.SIGMOID: _multiply,
    OpKind.HSWISH: _hswish,
    OpKind.CONCAT: _rejoin,
}
