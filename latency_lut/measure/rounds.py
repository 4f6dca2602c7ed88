"""The measuring loop: tasks in batches, each between two timings of the references, which show how the device drifts.

A batch during which the compute-bound reference changed, or which ran far above its best time, is measured again after
a pause. What remains of drift is divided out: every time is scaled to the undisturbed level of what bounds the task.
Whole networks are spread over the run, so that they and the ops meet the same states of the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from latency_lut.estimate import Estimate
from latency_lut.measure.backend import Backend, Task, build_model
from latency_lut.measure.journal import Measurement, MeasurementLog
from latency_lut.measure.litert import Timing
from latency_lut.measure.references import COMPUTE, REFERENCES, References
from latency_lut.provenance import Precision
from searchspace.ops import Op

MAX_CHANGE = 0.05  # of the compute-bound reference, within one batch
MAX_SLOWDOWN = 0.15  # of the compute-bound reference, against its best so far
MAX_ATTEMPTS = 3
_COMPUTE = REFERENCES.index(COMPUTE)

OnProgress = Callable[[int, int, Task], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    measurements: dict[Task, Measurement]
    change: float  # of the compute-bound reference
    compute_ms: float


def measure(
    backend: Backend,
    tasks: Sequence[Task],
    precision: Precision,
    journal: MeasurementLog,
    on_progress: OnProgress = lambda done, total, task: None,
) -> None:
    """Measure all `tasks` that the journal does not hold yet, appending batch by batch.

    Safe to interrupt anywhere: what was appended stays, the batch in work is measured again next time.
    """
    missing = spread_out([task for task in tasks if task not in journal.measurements])
    done = len(tasks) - len(missing)
    references = [build_model(task, precision) for task in REFERENCES]
    best_ms = min((entry.references.times_ms[_COMPUTE] for entry in journal.measurements.values()), default=math.inf)
    for start in range(0, len(missing), backend.batch_size):
        batch_tasks = missing[start : start + backend.batch_size]
        on_progress(done, len(tasks), batch_tasks[0])
        built = [*references, *(build_model(task, precision) for task in batch_tasks), *references]
        batch = _steady_batch(backend, batch_tasks, built, best_ms)
        best_ms = min(best_ms, batch.compute_ms)
        journal.append(batch.measurements)
        done += len(batch_tasks)
    if tasks:
        on_progress(len(tasks), len(tasks), tasks[-1])


def spread_out(tasks: Sequence[Task]) -> list[Task]:
    """Return ops and networks in their order, the networks evenly among the ops."""
    kinds = [[task for task in tasks if isinstance(task, Op) == wanted] for wanted in (True, False)]
    placed = [((place + 0.5) / len(kind), task) for kind in kinds for place, task in enumerate(kind)]
    return [task for _, task in sorted(placed, key=lambda pair: pair[0])]


def time_file(backend: Backend, model: bytes, precision: Precision) -> Measurement:
    """Time one TFLite model as `measure` times a whole network; `precision` is that of the references beside it."""
    references = [build_model(task, precision) for task in REFERENCES]
    built = [*references, (model, 1), *references]
    (measurement,) = _steady_batch(backend, [COMPUTE], built, math.inf).measurements.values()
    return measurement


def _steady_batch(
    backend: Backend, tasks: Sequence[Task], built: Sequence[tuple[bytes, int]], best_ms: float
) -> _Batch:
    """Time references, tasks, references, again where the device changed meanwhile or is slower than it was."""
    models, copies = [model for model, _ in built], [count for _, count in built]
    for attempt in range(1, MAX_ATTEMPTS + 1):
        batch = _as_batch(tasks, backend.time(models), copies)
        best_ms = min(best_ms, batch.compute_ms)
        if batch.change <= MAX_CHANGE and batch.compute_ms <= best_ms * (1 + MAX_SLOWDOWN):
            break
        if attempt < MAX_ATTEMPTS:
            backend.cool_down(attempt)
    return batch


def _as_batch(tasks: Sequence[Task], timings: Sequence[Timing], copies: Sequence[int]) -> _Batch:
    """Put the timings of references, tasks, references together."""
    times_ms = [timing.undisturbed_ms / count for timing, count in zip(timings, copies, strict=True)]
    before, after = (References(tuple(part)) for part in (times_ms[: len(REFERENCES)], times_ms[-len(REFERENCES) :]))
    references = References.between(before.times_ms, after.times_ms)
    inner = slice(len(REFERENCES), -len(REFERENCES))
    measurements = {}
    for task, timing, time_ms in zip(tasks, timings[inner], times_ms[inner], strict=True):
        # A device that changed meanwhile leaves a time of the batch uncertain by half of the change.
        change = math.log(after.slowdown(task, before))
        deviation = math.hypot(timing.undisturbed_error, change / 2)
        measurements[task] = Measurement(time_ms, deviation, timing.runs, references, timing.spread)
    change = abs(math.log(after.times_ms[_COMPUTE] / before.times_ms[_COMPUTE]))
    return _Batch(measurements, change, references.times_ms[_COMPUTE])


def estimates(measurements: Mapping[Task, Measurement], undisturbed: References) -> dict[Task, Estimate]:
    """Return times in ms scaled to the level at which the references take their `undisturbed` times."""
    scaled = {}
    for task, entry in measurements.items():
        latency_ms = entry.latency_ms / entry.references.slowdown(task, undisturbed)
        scaled[task] = Estimate(latency_ms, latency_ms * entry.deviation, entry.runs)
    return scaled
