"""What one network costs on a phone: latency tables, prediction with an interval, measuring, calibration."""

from latency_lut.errors import TableError, UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.predict import LayerLatency, OpLatency, Prediction, predict, predict_block
from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.table import LatencyTable

__all__ = [
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
    "predict",
    "predict_block",
]
