"""A TFLite file under construction, with the schema that ships in ai-edge-litert.

Activations are float32 and channel-last, (1, height, width, channels); tensors are referred to by their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latency_lut.tflite.runtime import schema

Array = NDArray[Any]
Shape = tuple[int, ...]
WeightFormat = Literal["float32", "float16"]

# Below this many values halving the storage saves nothing and a DEQUANTIZE operator costs more.
_LEAST_HALVED = 128


@dataclass
class Operator:
    """An operator of the graph: its builtin name, input and output tensors, and its table of options."""

    name: str
    inputs: list[int]
    output: int
    options: str | None
    fields: dict[str, Any]
    version: int = 1


class Graph:
    """One subgraph: add inputs, constants and operators, set `outputs`, then take the file from `packed`.

    Raises UserError when ai-edge-litert is not installed.
    """

    def __init__(self, seed: int = 0) -> None:
        self.schema: Any = schema("writing TFLite models")
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.output_names: list[str] = []
        self.operators: list[Operator] = []
        self.constants: dict[int, Array] = {}
        self._shapes: list[Shape] = []
        self._rng = np.random.default_rng(seed)

    def shape(self, tensor: int) -> Shape:
        """Return the shape of a tensor."""
        return self._shapes[tensor]

    def reshape(self, tensor: int, shape: Shape) -> None:
        """Change what shape a tensor is said to have; for one whose operator was changed likewise."""
        self._shapes[tensor] = shape

    def input(self, shape: Shape) -> int:
        """Add an input of the file."""
        self.inputs.append(self._tensor(shape))
        return self.inputs[-1]

    def constant(self, values: Array) -> int:
        """Add a constant, float32 or int32."""
        tensor = self._tensor(values.shape)
        self.constants[tensor] = values
        return tensor

    def weights(self, *shape: int) -> int:
        """Add small random weights: the time of an operator does not depend on them, unless they are denormal."""
        return self.constant(self._rng.uniform(-0.1, 0.1, shape).astype(np.float32))

    def operator(
        self, name: str, inputs: Sequence[int], shape: Shape, options: str | None = None, **fields: Any
    ) -> int:
        """Add the builtin operator `name` (CONV_2D, ...) with one output of `shape`; return that output.

        `options` names its table of options (Conv2DOptions, ...), whose `fields` are set.
        """
        self.operators.append(Operator(name, list(inputs), self._tensor(shape), options, fields))
        return self.operators[-1].output

    def producer(self, tensor: int) -> Operator | None:
        """Return the operator that computes a tensor, None for inputs and constants."""
        return next((operator for operator in reversed(self.operators) if operator.output == tensor), None)

    def packed(self, weights: WeightFormat = "float32", description: str = "") -> bytes:
        """Return the content of the file; `float16` stores weights in halves and widens them as it is loaded."""
        return _Packing(self, weights).content(description)

    def _tensor(self, shape: Shape) -> int:
        self._shapes.append(tuple(int(length) for length in shape))
        return len(self._shapes) - 1


class _Packing:
    """The graph as objects of the schema."""

    def __init__(self, graph: Graph, weights: WeightFormat) -> None:
        self.graph, self.schema = graph, graph.schema
        self.buffers = [self.schema.BufferT()]  # buffer 0 is the empty one, by the format's rule
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []
        for index, shape in enumerate(graph._shapes):
            self._add_tensor(f"t{index}", shape, graph.constants.get(index))
        if weights == "float16":
            self._halve_weights()
        for operator in graph.operators:
            self._add_operator(operator)

    def content(self, description: str) -> bytes:
        """Return the finished file."""
        import flatbuffers

        model = self.schema.ModelT()
        model.version, model.description = 3, description
        model.subgraphs, model.buffers = [self._subgraph()], self.buffers
        model.operatorCodes = [self._operator_code(*code) for code in self.codes]
        model.signatureDefs = [self._signature()]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _add_tensor(self, name: str, shape: Shape, values: Array | None = None) -> int:
        tensor, types = self.schema.TensorT(), self.schema.TensorType
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), types.FLOAT32, 0
        if values is not None:
            tensor.type = getattr(types, values.dtype.name.upper())
            tensor.buffer = self._add_buffer(np.ascontiguousarray(values).tobytes())
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _add_buffer(self, data: bytes) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def _halve_weights(self) -> None:
        """Store large float constants as float16, each behind a DEQUANTIZE that the runtime resolves at loading."""
        for index, values in self.graph.constants.items():
            if values.dtype != np.float32 or values.size < _LEAST_HALVED:
                continue
            wide = self.tensors[index]
            self.buffers[wide.buffer].data = np.frombuffer(values.astype(np.float16).tobytes(), np.uint8)
            half = self._add_tensor(f"{wide.name}_half", values.shape)
            self.tensors[half].type, self.tensors[half].buffer = self.schema.TensorType.FLOAT16, wide.buffer
            wide.buffer = 0
            self._add_operator(Operator("DEQUANTIZE", [half], index, "DequantizeOptions", {}, version=3))

    def _add_operator(self, source: Operator) -> None:
        code = (getattr(self.schema.BuiltinOperator, source.name), source.version)
        if code not in self.codes:
            self.codes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = source.inputs, [source.output]
        if source.options is not None:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, source.options)
            operator.builtinOptions = getattr(self.schema, f"{source.options}T")()
            for field, value in source.fields.items():
                setattr(operator.builtinOptions, field, value)
        self.operators.append(operator)

    def _subgraph(self) -> Any:
        subgraph = self.schema.SubGraphT()
        subgraph.name, subgraph.tensors, subgraph.operators = "main", self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = self.graph.inputs, self.graph.outputs
        return subgraph

    def _operator_code(self, code: int, version: int) -> Any:
        entry = self.schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), version
        return entry

    def _signature(self) -> Any:
        signature, graph = self.schema.SignatureDefT(), self.graph
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        names = graph.output_names or [f"output_{number}" for number in range(len(graph.outputs))]
        signature.inputs = [self._named(f"input_{number}", index) for number, index in enumerate(graph.inputs)]
        signature.outputs = [self._named(name, index) for name, index in zip(names, graph.outputs, strict=True)]
        for entry in (*signature.inputs, *signature.outputs):
            self.tensors[entry.tensorIndex].name = entry.name
        return signature

    def _named(self, name: str, index: int) -> Any:
        entry = self.schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        return entry
