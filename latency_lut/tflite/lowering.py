"""A TFLite graph while it is made from ATen calls: what stands for each tensor, what can be fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_leaves

from latency_lut.tflite import operators
from latency_lut.tflite.graph import Array, Graph, Operator
from latency_lut.tflite.trace import Call, Trace

WITH_ACTIVATION = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "FULLY_CONNECTED"})
CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
TO_CHANNEL_LAST = (0, 2, 3, 1)
NO_PADS = (0, 0, 0, 0)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph; `channel_last` where torch's (n, c, h, w) is stored as (n, h, w, c).

    `pads` (top, bottom, left, right) are zeros around it that no operator has put there yet.
    """

    index: int
    channel_last: bool
    pads: tuple[int, int, int, int] = NO_PADS


Handler = Callable[["Lowering", Call], "Value | None"]


class Handlers(dict[str, Handler]):
    """What makes the operators of a call, by the call's ATen name."""

    def of(self, *names: str) -> Callable[[Handler], Handler]:
        """Return a decorator that enters a handler under these names."""

        def enter(handler: Handler) -> Handler:
            self.update(dict.fromkeys(names, handler))
            return handler

        return enter


class Lowering:
    """The graph made so far, the value of each tensor and how often each tensor is used."""

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
        if value.pads == NO_PADS:
            return value
        return Value(operators.pad(self.graph, value.index, *value.pads), True)

    def _constant(self, tensor: Tensor) -> Value:
        array = to_array(tensor)
        if array.ndim == 4:
            return Value(self.graph.constant(np.ascontiguousarray(array.transpose(TO_CHANNEL_LAST))), True)
        return Value(self.graph.constant(array), False)

    def sole_producer(self, tensor: Tensor, names: frozenset[str]) -> Operator | None:
        """Return the operator that makes a tensor nobody else uses, if it is one of `names` and not activated yet."""
        value = self.values.get(id(tensor))
        if value is None or value.pads != NO_PADS or self.uses[id(tensor)] != 1:
            return None
        operator = self.graph.producer(value.index)
        if operator is None or operator.name not in names or operator.fields.get("fusedActivationFunction", 0):
            return None
        return operator

    def fuse(self, tensor: Tensor, activation: str) -> Value:
        """Put an activation into the operator that makes `tensor`, or behind it."""
        operator = self.sole_producer(tensor, WITH_ACTIVATION)
        value = self.value(tensor)
        if operator is None:
            return replace(value, index=self.graph.operator(activation, [value.index], self.graph.shape(value.index)))
        operator.fields["fusedActivationFunction"] = getattr(self.graph.schema.ActivationFunctionType, activation)
        return value


def to_array(tensor: Tensor) -> Array:
    """Return a tensor's numbers as float32."""
    return tensor.detach().cpu().float().numpy()


def stored_axis(value: Value, axis: int, dimensions: int) -> int:
    """Return where torch's axis lies in the stored tensor."""
    axis %= dimensions
    return TO_CHANNEL_LAST.index(axis) if value.channel_last else axis
