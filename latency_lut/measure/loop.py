"""The measuring loop: tasks in batches, each between two timings of a reference op that shows how the device drifts.

A batch during which the reference op changed, or which ran far above its best time, is measured again after a pause.
What remains of slow drift is divided out: every time is scaled to the reference op's undisturbed level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latency_lut.estimate import Estimate
from latency_lut.measure.backend import REFERENCE_OP, Backend, Task, build_model
from latency_lut.measure.journal import Journal, Measurement
from latency_lut.measure.litert import Timing
from latency_lut.provenance import Precision

MAX_CHANGE = 0.05  # of the reference op, within one batch
MAX_SLOWDOWN = 0.15  # of the reference op, against its best so far
MAX_ATTEMPTS = 3
_UNDISTURBED_QUANTILE = 0.1

OnProgress = Callable[[int, int, Task], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    measurements: dict[Task, Measurement]
    change: float
    reference_ms: float


def measure(
    backend: Backend,
    tasks: Sequence[Task],
    precision: Precision,
    journal: Journal,
    on_progress: OnProgress = lambda done, total, task: None,
) -> None:
    """Measure all `tasks` that the journal does not hold yet, appending batch by batch.

    Safe to interrupt anywhere: what was appended stays, the batch in work is measured again next time.
    """
    missing = [task for task in tasks if task not in journal.measurements]
    done = len(tasks) - len(missing)
    reference_model, copies = build_model(REFERENCE_OP, precision)
    best_ms = min((entry.reference_ms for entry in journal.measurements.values()), default=math.inf)
    for start in range(0, len(missing), backend.batch_size):
        batch_tasks = missing[start : start + backend.batch_size]
        on_progress(done, len(tasks), batch_tasks[0])
        built = [build_model(task, precision) for task in batch_tasks]
        models = [reference_model, *(model for model, _ in built), reference_model]
        copy_counts = [copies, *(count for _, count in built), copies]
        batch = _steady_batch(backend, batch_tasks, models, copy_counts, best_ms)
        best_ms = min(best_ms, batch.reference_ms)
        journal.append(batch.measurements)
        done += len(batch_tasks)
    if tasks:
        on_progress(len(tasks), len(tasks), tasks[-1])


def time_file(backend: Backend, model: bytes, precision: Precision) -> Measurement:
    """Time one TFLite model as `measure` times a whole network; `precision` is that of the reference op beside it."""
    reference_model, copies = build_model(REFERENCE_OP, precision)
    models, counts = [reference_model, model, reference_model], [copies, 1, copies]
    (measurement,) = _steady_batch(backend, [REFERENCE_OP], models, counts, math.inf).measurements.values()
    return measurement


def _steady_batch(
    backend: Backend, tasks: Sequence[Task], models: Sequence[bytes], copies: Sequence[int], best_ms: float
) -> _Batch:
    """Time reference op, tasks, reference op, again where the device changed meanwhile or is slower than it was."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        batch = _as_batch(tasks, backend.time(models), copies)
        best_ms = min(best_ms, batch.reference_ms)
        if batch.change <= MAX_CHANGE and batch.reference_ms <= best_ms * (1 + MAX_SLOWDOWN):
            break
        if attempt < MAX_ATTEMPTS:
            backend.cool_down(attempt)
    return batch


def _as_batch(tasks: Sequence[Task], timings: Sequence[Timing], copies: Sequence[int]) -> _Batch:
    """Put the timings of reference op, tasks, reference op together."""
    before_ms, after_ms = timings[0].undisturbed_ms / copies[0], timings[-1].undisturbed_ms / copies[-1]
    reference_ms = math.sqrt(before_ms * after_ms)
    change = abs(math.log(after_ms / before_ms))
    measurements = {
        # A device that changed meanwhile leaves every time of the batch uncertain by half of the change.
        task: Measurement(
            timing.undisturbed_ms / count, math.hypot(timing.spread, change / 2), timing.runs, reference_ms
        )
        for task, timing, count in zip(tasks, timings[1:-1], copies[1:-1], strict=True)
    }
    return _Batch(measurements, change, reference_ms)


def undisturbed_reference_ms(measurements: Iterable[Measurement]) -> float:
    """Return the reference op's time in ms on the undisturbed device: the tenth percentile of its readings."""
    return float(np.quantile([entry.reference_ms for entry in measurements], _UNDISTURBED_QUANTILE))


def estimates(measurements: Mapping[Task, Measurement], reference_ms: float) -> dict[Task, Estimate]:
    """Return times in ms scaled to the level at which the reference op takes `reference_ms`."""
    scaled = {}
    for task, entry in measurements.items():
        latency_ms = entry.latency_ms * reference_ms / entry.reference_ms
        scaled[task] = Estimate(latency_ms, latency_ms * entry.spread, entry.runs)
    return scaled
