"""TFLite files of anybody, as a graph: operators in running order, tensors with their constants and quantisation."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_lut.tflite.runtime import check_readable, schema, unpacked
from searchspace.support.errors import UserError

Array = NDArray[Any]
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError, AttributeError, KeyError)


@dataclass(frozen=True)
class Tensor:
    """A tensor: shape, numpy type name (`float32`, `uint8`, ...), raw constant or None, scales and zero points.

    `scale` and `zero_point` have one entry, or one for each index along `axis`; empty where it is not quantised.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: Array | None
    scale: Array
    zero_point: Array
    axis: int

    @property
    def values(self) -> Array:
        """The constant as real numbers, float32: dequantised where it is quantised; raises UserError without one."""
        if self.constant is None:
            raise UserError(f"the tensor {self.name} has no constant values")
        if not len(self.scale):
            return self.constant.astype(np.float32)
        along = [1] * len(self.shape)
        if len(self.scale) > 1:
            along[self.axis] = -1
        zero, scale = self.zero_point.reshape(along), self.scale.reshape(along)
        return ((self.constant.astype(np.float64) - zero) * scale).astype(np.float32)


@dataclass(frozen=True)
class Operator:
    """An operator: builtin name (`CONV_2D`, ...), tensors in and out (None where an optional one is missing), options.

    Options have the names of the TFLite schema: `strideW`, `padding` (0 SAME, 1 VALID), `fusedActivationFunction`.
    """

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class TFLiteGraph:
    """The main subgraph of a file, and its named metadata buffers."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    metadata: dict[str, bytes]
    description: str

    @cached_property
    def precision(self) -> str:
        """`int8` when activations are integers, else `float32`."""
        computed = {tensor.dtype for operator in self.operators for tensor in operator.outputs}
        return "int8" if computed & {"int8", "uint8"} and "float32" not in computed else "float32"


def read_graph(source: str | Path | bytes) -> TFLiteGraph:
    """Read a TFLite file or its content; raises UserError for what is missing, damaged or no TFLite model."""
    where = "the model" if isinstance(source, bytes) else str(source)
    if isinstance(source, bytes):
        content = source
    else:
        try:
            content = Path(source).read_bytes()
        except FileNotFoundError:
            raise UserError(f"no such file: {source}") from None
    check_readable(content, where)
    try:
        return _Reading(content).graph()
    except _DAMAGED as error:
        raise UserError(f"{where} is a damaged TFLite file: {error}") from error


class _Reading:
    def __init__(self, content: bytes) -> None:
        self.schema = schema("reading TFLite models")
        self.model = unpacked(content)
        self.names = _names(self.schema.BuiltinOperator)
        self.types = {value: name.lower() for value, name in _names(self.schema.TensorType).items()}

    def graph(self) -> TFLiteGraph:
        subgraph = self.model.subgraphs[0]
        tensors = [self._tensor(tensor) for tensor in subgraph.tensors]
        entries = self.model.metadata if self.model.metadata is not None else ()
        return TFLiteGraph(
            inputs=tuple(tensors[index] for index in subgraph.inputs),
            outputs=tuple(tensors[index] for index in subgraph.outputs),
            operators=tuple(self._operator(operator, tensors) for operator in subgraph.operators),
            metadata={_text(entry.name): self._data(entry.buffer) for entry in entries},
            description=_text(self.model.description),
        )

    def _tensor(self, source: Any) -> Tensor:
        shape = () if source.shape is None else tuple(int(length) for length in source.shape)
        dtype = self.types[source.type]
        data = self._data(source.buffer)
        constant = np.frombuffer(data, np.dtype(dtype)).reshape(shape) if data and dtype in _NUMPY else None
        made = source.quantization
        scale = _vector(made and made.scale, np.float32)
        zero = _vector(made and made.zeroPoint, np.int64) if len(scale) else np.zeros(0, np.int64)
        zero = zero if len(zero) == len(scale) else np.zeros(len(scale), np.int64)
        return Tensor(_text(source.name), shape, dtype, constant, scale, zero, made.quantizedDimension if made else 0)

    def _operator(self, source: Any, tensors: list[Tensor]) -> Operator:
        code = self.model.operatorCodes[source.opcodeIndex]
        name = self.names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs = [] if source.inputs is None else source.inputs
        return Operator(
            _text(code.customCode) if name == "CUSTOM" else name,
            tuple(tensors[index] if index >= 0 else None for index in inputs),
            tuple(tensors[index] for index in source.outputs),
            dict(vars(source.builtinOptions)) if source.builtinOptions is not None else {},
        )

    def _data(self, buffer: int) -> bytes:
        data = self.model.buffers[buffer].data
        return b"" if data is None else bytes(bytearray(data))


_NUMPY = frozenset({"float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool"})


def _vector(values: Any, dtype: Any) -> Array:
    return np.zeros(0, dtype) if values is None else np.asarray(values, dtype)


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if type(value) is int}


def _text(raw: Any) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw or "")
