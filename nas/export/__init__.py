"""From a network to a file that has really run: write, say how it is used, compare with torch, time on this machine."""

from nas.export._calibration import CALIBRATION_IMAGES, Calibration, calibration_from
from nas.export._check import AccuracyCheck, check_accuracy, largest_error
from nas.export._formats import FORMATS, export_as, require_format
from nas.export._headed import HEADED_FORMATS, export_headed, run_headed
from nas.export._origin import precision_of
from nas.export._record import ExportRecord, host_name
from nas.export._tflite import (
    PRECISIONS,
    TRAINED,
    UNTRAINED,
    export_network,
    export_trained,
    require_precision,
    weights_mark,
)
from nas.export._usage import Usage, preparation_of

__all__ = [
    "CALIBRATION_IMAGES",
    "FORMATS",
    "HEADED_FORMATS",
    "PRECISIONS",
    "TRAINED",
    "UNTRAINED",
    "AccuracyCheck",
    "Calibration",
    "ExportRecord",
    "Usage",
    "calibration_from",
    "check_accuracy",
    "export_as",
    "export_headed",
    "export_network",
    "export_trained",
    "host_name",
    "largest_error",
    "precision_of",
    "preparation_of",
    "require_format",
    "require_precision",
    "run_headed",
    "weights_mark",
]
