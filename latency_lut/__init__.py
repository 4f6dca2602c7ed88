"""What one network costs on a phone: latency tables, prediction with an interval, measuring, calibration."""

from typing import TYPE_CHECKING

from latency_lut.errors import TableError, UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.predict import LayerLatency, OpLatency, Prediction, predict, predict_block
from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.table import LatencyTable
from searchspace.support.lazy import imported_when_used

if TYPE_CHECKING:
    from latency_lut.compiled import CompiledCost
    from latency_lut.devices import load_device

__getattr__ = imported_when_used(
    __name__, {"CompiledCost": "latency_lut.compiled", "load_device": "latency_lut.devices"}
)

__all__ = [
    "CompiledCost",
    "Estimate",
    "LatencyTable",
    "LayerLatency",
    "Method",
    "OpLatency",
    "Precision",
    "Prediction",
    "Provenance",
    "Scale",
    "TableError",
    "UnmeasuredOp",
    "load_device",
    "predict",
    "predict_block",
]
