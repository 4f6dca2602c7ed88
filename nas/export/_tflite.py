"""TFLite files in float32, float16 and int8.

A file says of itself whether its weights are trained, both in the model's description (shown by every viewer) and in
a metadata entry `nas.weights`, so that an untrained export is never mistaken for a classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

import nas
from nas.export._calibration import NO_IMAGES, Calibration
from nas.export._check import AccuracyCheck, Comparison, Images, check_accuracy, compare, noise, run_tflite
from nas.export._record import ExportRecord, host_name
from nas.export._usage import WEIGHTS_KEY, Usage, tflite_entries
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from latency_lut.measure.journal import Measurement
    from searchspace.modules import Network

FLOAT32: Final = "float32"
FLOAT16: Final = "float16"
INT8: Final = "int8"
PRECISIONS = (FLOAT32, FLOAT16, INT8)
TRAINED, UNTRAINED = "trained", "untrained"
# XNNPACK sums in another order than torch; over a MobileNet's depth that stays below this share of the output's range.
# Weights in halves have 11 significant bits. Integers are compared by the answers they give, not refused.
AGREEMENT = {FLOAT32: 1e-3, FLOAT16: 2e-2}
# Near ties may fall the other way; a file that answers otherwise more often is not the network that was tested.
SAME_ANSWERS_PCT = 95.0


def export_network(
    network: Network,
    path: str | Path,
    *,
    trained: bool,
    precision: str = "float32",
    calibration: Calibration | None = None,
    seed: int = 0,
    usage: Usage | None = None,
    images: int = 2,
    threads: int = 1,
) -> ExportRecord:
    """Write a network at its architecture's resolution as a TFLite file, run it and time it on this machine.

    `usage` is what the file says of its use, `trained` of its weights; an int8 file without `calibration` takes its
    ranges from noise and says so. The outputs are compared with torch's on so many `images`, those of the calibration
    or noise from `seed`. Raises UserError when they differ, in which case no file is left, or a package is missing.
    """
    made = _made(network, precision, TRAINED if trained else UNTRAINED, calibration, usage or Usage(), seed, images)
    return _write_and_time(network, path, made, threads)


def export_trained(
    network: Network,
    path: str | Path,
    images: Images,
    labels: NDArray[np.integer[Any]],
    *,
    precision: str = "float32",
    calibration: Calibration | None = None,
    usage: Usage | None = None,
    seed: int = 0,
    threads: int = 1,
) -> tuple[ExportRecord, AccuracyCheck]:
    """Export a trained network: a file is marked so, and written, only where it classifies `images` as torch does.

    Images are those of `check_accuracy`. An int8 file is written whatever it answers: what quantising costs is told,
    not refused. Raises UserError as `export_network` does, and where the answers of a float file differ.
    """
    made = _made(network, precision, TRAINED, calibration, usage or Usage(), seed)
    check = check_accuracy(network, made.content, images, labels)
    if precision != "int8" and check.same_answer_pct < SAME_ANSWERS_PCT:
        raise UserError(
            f"the exported model answers as torch on {check.same_answer_pct:.1f} % of {check.images} images, expected "
            f"at least {SAME_ANSWERS_PCT:g} %; no file was written. Check the versions of torch and ai-edge-litert."
        )
    return _write_and_time(network, path, made, threads), check


@dataclass(frozen=True)
class _Made:
    """A file's content before it is written, and how its outputs compare with torch's."""

    content: bytes
    precision: str
    weights: str
    calibration: str | None
    found: Comparison
    usage: dict[str, Any]


def _made(
    network: Network,
    precision: str,
    weights: str,
    calibration: Calibration | None,
    usage: Usage,
    seed: int,
    images: int = 2,
) -> _Made:
    from latency_lut.tflite import module_model
    from latency_lut.tflite.metadata import described
    from latency_lut.tflite.usage_table import with_labels

    require_precision(precision)
    size = network.architecture.resolution
    stored: Literal["float32", "float16"] = FLOAT16 if precision == FLOAT16 else FLOAT32
    content = module_model(network, (1, 3, size, size), weights=stored)
    shown = noise(images, size, seed) if calibration is None else calibration.images[:images]
    found = compare(network, run_tflite(content), shown)
    require_agreement(found.error, AGREEMENT[stored])
    source = None
    if precision == INT8:
        content = quantised(content, calibration, seed)
        found = compare(network, run_tflite(content), shown)
        source = NO_IMAGES if calibration is None else calibration.source
    architecture = network.architecture
    usage = usage.fitting(architecture.classes, size)
    document = usage.document(
        size=size,
        classes=architecture.classes,
        layout="NHWC",
        dtype=INT8 if precision == INT8 else FLOAT32,
        architecture=str(architecture),
    )
    entries = tflite_entries(usage, document, weights, size, f"image classifier, {architecture.classes} classes")
    content = described(content, f"nas {nas.__version__}: {weights} weights", entries)
    if usage.labels is not None:
        content = with_labels(content, usage.labels)
    return _Made(content, precision, weights, source, found, document)


def _write_and_time(network: Network, path: str | Path, made: _Made, threads: int) -> ExportRecord:
    from latency_lut.tflite.kernels import fallbacks
    from latency_lut.tflite.runtime import runtime_version

    path = Path(path)
    write_atomic(path, made.content)
    write_labels(path, made.usage)
    timing = _timed(made.content, made.precision, threads)
    return ExportRecord(
        file=path.name,
        precision=made.precision,
        weights=made.weights,
        resolution=network.architecture.resolution,
        size_bytes=len(made.content),
        output_error=made.found.error,
        top1_agreement=made.found.agreement_pct if made.precision == INT8 else None,
        calibration=made.calibration,
        host_latency_ms=timing.latency_ms,
        host_spread=timing.spread,
        host_runs=timing.runs,
        host_threads=threads,
        host=host_name(),
        runtime=runtime_version(),
        fallbacks=fallbacks(made.content),
        usage=made.usage,
    )


def require_precision(precision: str) -> None:
    """Raise UserError unless a TFLite file can have this precision."""
    if precision not in PRECISIONS:
        raise UserError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)} for TFLite")


def require_agreement(error: float, limit: float) -> None:
    """Raise UserError where a file's outputs lie too far from torch's."""
    if not error <= limit:
        raise UserError(
            f"the exported model's outputs differ from torch's by {error:.2%} of their range, expected at most "
            f"{limit:.1%}; no file was written. Check the versions of torch and the runtime."
        )


def write_labels(path: Path, usage: Mapping[str, Any]) -> None:
    """Write `labels.txt` beside an exported file, one class a line in the order of its outputs, where known."""
    from latency_lut.tflite.usage_table import LABELS_FILE, labels_text

    if usage["output"]["labels"] is not None:
        write_atomic(path.with_name(LABELS_FILE), labels_text(usage["output"]["labels"]))


def quantised(content: bytes, calibration: Calibration | None, seed: int) -> bytes:
    """Return the full-integer version; raises UserError should an operator have stayed in floats."""
    from latency_lut.tflite.quantise import quantise_int8
    from latency_lut.tflite.read import read_graph

    images = None if calibration is None else np.moveaxis(calibration.images, 1, -1)
    made = quantise_int8(content, images, seed)
    floats = {op.name for op in read_graph(made).operators if any("float" in out.dtype for out in op.outputs)}
    if floats:
        raise UserError(f"{', '.join(sorted(floats))} could not be quantised; no file was written")
    return made


def _timed(content: bytes, precision: str, threads: int) -> Measurement:
    """Time a file as `nas lut measure` times a network."""
    from latency_lut.measure.host import Host
    from latency_lut.measure.rounds import time_file
    from latency_lut.provenance import Precision as Computed

    with Host(threads) as host:
        return time_file(host, content, Computed.INT8 if precision == "int8" else Computed.FLOAT32)


def timed_file(content: bytes, precision: str) -> tuple[float, float, int]:
    """Return a file's time on one thread of this machine in ms, its relative spread and the number of runs."""
    timing = _timed(content, precision, 1)
    return timing.latency_ms, timing.spread, timing.runs


def weights_mark(path: str | Path) -> str:
    """Return `trained` or `untrained` as a TFLite file says of itself, or an empty text where it does not say."""
    from latency_lut.tflite.read import read_graph

    return read_graph(path).metadata.get(WEIGHTS_KEY, b"").decode()
