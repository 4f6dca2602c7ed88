"""From the ATen calls of a module to the operators of a TFLite graph.

Batch norm is folded into the convolution before it, ReLU and ReLU6 are fused, explicit padding becomes SAME where it is
that, and images are channel-last throughout: what a conversion by litert-torch gives, less its transposes and pads.
"""

from __future__ import annotations

from latency_lut.tflite import lower_pointwise, lower_shapes, lower_windows
from latency_lut.tflite.graph import Graph
from latency_lut.tflite.lowering import Handlers, Lowering
from latency_lut.tflite.trace import Trace
from searchspace.support.errors import UserError

_HANDLERS = Handlers(lower_windows.HANDLERS | lower_pointwise.HANDLERS | lower_shapes.HANDLERS)


def lower(trace: Trace) -> Graph:
    """Return the graph of a trace; raises UserError naming the first call that has no TFLite operator here."""
    lowering = Lowering(trace)
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
