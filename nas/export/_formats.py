"""One network in any of the formats, checked and timed by the runtime of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nas.export._calibration import Calibration
from nas.export._check import Images, compare, noise
from nas.export._executorch import executorch_program, open_executorch
from nas.export._onnx import onnx_model, open_onnx
from nas.export._record import ExportRecord, host_name
from nas.export._tflite import (
    AGREEMENT,
    FLOAT32,
    PRECISIONS,
    TRAINED,
    UNTRAINED,
    export_network,
    require_agreement,
    write_labels,
)
from nas.export._usage import USAGE_KEY, WEIGHTS_KEY, Usage
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from searchspace.modules import Network

FORMATS = {"tflite": PRECISIONS, "onnx": (FLOAT32,), "executorch": (FLOAT32,)}
CHECKED_IMAGES = 32


def require_format(form: str, precision: str) -> None:
    """Raise UserError, listing what there is, for a format or a precision that it does not have."""
    if precision not in FORMATS.get(form, ()):
        listed = "; ".join(f"{name}: {', '.join(precisions)}" for name, precisions in FORMATS.items())
        raise UserError(f"there is no export to {form} in {precision}, expected one of {listed}")


def export_as(
    form: str,
    network: Network,
    path: Path,
    *,
    trained: bool,
    precision: str = FLOAT32,
    calibration: Calibration | None = None,
    usage: Usage | None = None,
    seed: int = 0,
) -> ExportRecord:
    """Write a network in a format of `FORMATS`, run it on 32 images, compare with torch and time it.

    Raises UserError for a precision that the format does not have, a missing package (naming the extra), and outputs
    that differ from torch's, in which case no file is left.
    """
    require_format(form, precision)
    usage = usage or Usage()
    if form == "tflite":
        return export_network(
            network,
            path,
            trained=trained,
            precision=precision,
            calibration=calibration,
            usage=usage,
            seed=seed,
            images=CHECKED_IMAGES,
        )
    architecture = network.architecture
    size, weights = architecture.resolution, TRAINED if trained else UNTRAINED
    usage = usage.fitting(architecture.classes, size)
    document = usage.document(
        size=size, classes=architecture.classes, layout="NCHW", dtype=FLOAT32, architecture=str(architecture)
    )
    if form == "onnx":
        content = onnx_model(network, size, {WEIGHTS_KEY: weights, USAGE_KEY: json.dumps(document, ensure_ascii=False)})
        run, runtime = open_onnx(content, threads=1)
    else:
        content = executorch_program(network, size)
        run, runtime = open_executorch(content)
    found = compare(network, run, noise(CHECKED_IMAGES, size, seed) if calibration is None else calibration.images)
    require_agreement(found.error, AGREEMENT[FLOAT32])
    write_atomic(path, content)
    write_labels(path, document)
    if form == "executorch":  # its files have no place for text
        write_atomic(path.with_suffix(".usage.json"), json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    milliseconds, spread, runs = timed_calls(run, noise(1, size, seed), threads_of_its_own=form == "executorch")
    return ExportRecord(
        file=path.name,
        format=form,
        precision=precision,
        weights=weights,
        resolution=size,
        size_bytes=len(content),
        output_error=found.error,
        host_latency_ms=milliseconds,
        host_spread=spread,
        host_runs=runs,
        host_threads=1,
        host=host_name(),
        runtime=runtime,
        usage=document,
    )


def timed_calls(run: Callable[[Images], object], image: Images, threads_of_its_own: bool) -> tuple[float, float, int]:
    """Return the tenth percentile in ms, relative spread and number of runs, pinned to a core as tables are made."""
    from latency_lut.measure.host import Host
    from latency_lut.measure.litert import time_calls

    clock = time.perf_counter_ns if threads_of_its_own else time.thread_time_ns
    with Host():
        timing = time_calls(lambda: run(image), clock, warmup_s=0.02, max_s=0.3)
    return timing.undisturbed_ms, timing.spread, timing.runs
