"""A TFLite file under construction, with the schema that ships in ai-edge-litert.

Tensors are float32 and channel-last, (1, height, width, channels), and are referred to by their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_lut.measure.errors import missing_package

Array = NDArray[Any]
Shape = tuple[int, ...]


class Graph:
    """One subgraph: add inputs, constants and operators, set `outputs`, then take the file from `packed`.

    Raises UserError when ai-edge-litert is not installed.
    """

    def __init__(self, seed: int = 0) -> None:
        try:
            from ai_edge_litert import schema_py_generated
        except ImportError as error:
            raise missing_package("building TFLite models", error) from error
        self.schema: Any = schema_py_generated
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._rng = np.random.default_rng(seed)
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._buffers = [self.schema.BufferT()]  # buffer 0 is the empty one, by the format's rule
        self._codes: list[int] = []

    def shape(self, tensor: int) -> Shape:
        """Return the shape of a tensor."""
        return tuple(self._tensors[tensor].shape)

    def input(self, shape: Shape) -> int:
        """Add an input of the file."""
        self.inputs.append(self._tensor(shape))
        return self.inputs[-1]

    def constant(self, values: Array) -> int:
        """Add a constant, float32 or int32."""
        tensor = self._tensor(values.shape)
        if values.dtype == np.int32:
            self._tensors[tensor].type = self.schema.TensorType.INT32
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._tensors[tensor].buffer = len(self._buffers)
        self._buffers.append(buffer)
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
        code = getattr(self.schema.BuiltinOperator, name)
        if code not in self._codes:
            self._codes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = list(inputs), [self._tensor(shape)]
        if options is not None:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self.schema, f"{options}T")()
            for field, value in fields.items():
                setattr(operator.builtinOptions, field, value)
        self._operators.append(operator)
        return int(operator.outputs[0])

    def packed(self) -> bytes:
        """Return the content of the file."""
        import flatbuffers

        model = self.schema.ModelT()
        model.version, model.description = 3, "built to be timed; weights are random"
        model.subgraphs, model.buffers = [self._subgraph()], self._buffers
        model.operatorCodes = [self._operator_code(code) for code in self._codes]
        model.signatureDefs = [self._signature()]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, shape: Shape) -> int:
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape = f"t{len(self._tensors)}", [int(length) for length in shape]
        tensor.type, tensor.buffer = self.schema.TensorType.FLOAT32, 0
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _subgraph(self) -> Any:
        subgraph = self.schema.SubGraphT()
        subgraph.name, subgraph.tensors, subgraph.operators = "main", self._tensors, self._operators
        subgraph.inputs, subgraph.outputs = self.inputs, self.outputs
        return subgraph

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
