"""From measurements to a table: scaled entries, interpolation error, and terms that keep whole networks unbiased."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.views import fit_distant_scale, predicted_ms
from latency_lut.estimate import Estimate
from latency_lut.measure.backend import Conditions, DeviceFacts, Task
from latency_lut.measure.journal import Measurement
from latency_lut.measure.references import References
from latency_lut.measure.rounds import estimates
from latency_lut.provenance import Method, Precision, Provenance
from latency_lut.table import LatencyTable
from searchspace.architecture import Architecture
from searchspace.ops import Op
from searchspace.support.errors import UserError

_NETWORK_ERROR = 0.03  # standard deviation of a network's time that ops cannot explain, as a share of it
_FOLDS = 8
_Z_90 = 1.6448536269514722


def assemble(
    measurements: Mapping[Task, Measurement],
    facts: DeviceFacts,
    conditions: Conditions,
    precision: Precision,
    resolution: int,
) -> LatencyTable:
    """Return the table of a finished run: single ops become entries, whole networks set its scale and interval.

    Raises UserError when no op was measured.
    """
    if not measurements:
        raise UserError("no op was measured, so there is no table to write")
    references = References.undisturbed(entry.references for entry in measurements.values())
    scaled = estimates(measurements, references)
    entries = {task: entry for task, entry in scaled.items() if isinstance(task, Op)}
    networks = {task: entry for task, entry in scaled.items() if isinstance(task, Architecture)}
    if not entries:
        raise UserError("no op was measured, so there is no table to write")
    provenance = Provenance(
        device=facts.device,
        soc=facts.soc,
        runtime=facts.runtime,
        runtime_build=facts.runtime_build,
        threads=facts.threads,
        cores=facts.cores,
        precision=precision,
        resolution=resolution,
        runs=int(np.median([entry.runs for entry in entries.values()])),
        date=datetime.date.today().isoformat(),
        method=Method.MEASURED,
        conditions=conditions.as_text() | references.as_conditions(),
    )
    table = LatencyTable(provenance, entries)
    rms_pct = table.leave_one_out_error().rms_pct
    table = table.with_provenance(replace(provenance, interpolation_error_pct=_finite(rms_pct)))
    if len(networks) < _FOLDS:
        return table
    slowdowns = [measurements[network].references.slowdown(network, references) for network in networks]
    return with_network_scale(table, networks, float(np.std(np.log(slowdowns))))


def with_network_scale(
    table: LatencyTable, networks: Mapping[Architecture, Estimate], drift: float = 0.0
) -> LatencyTable:
    """Return the table with the terms that make its predictions of the given networks' times unbiased.

    The interval and the left-out error come from networks left out of the fit in turn, an eighth at a time. `drift` is
    the relative standard deviation by which the device moved meanwhile, and widens the interval: at another time the
    device is in another state, and the references follow it only in part.
    """
    observations = [_observed(architecture, entry) for architecture, entry in networks.items()]

    def times_ms(ops: Sequence[Op]) -> NDArray[np.float64]:
        return np.array([table.entry(op).latency_ms for op in ops])

    measured_ms = np.array([observation.latency_ms for observation in observations])
    predictions_ms = np.empty_like(measured_ms)
    for fold in range(_FOLDS):
        kept = [observation for number, observation in enumerate(observations) if number % _FOLDS != fold]
        left_out = observations[fold::_FOLDS]
        predictions_ms[fold::_FOLDS] = predicted_ms(left_out, times_ms, fit_distant_scale(kept, times_ms))
    absolute_pct = 100 * np.abs(predictions_ms / measured_ms - 1.0)
    scale = fit_distant_scale(observations, times_ms)
    provenance = replace(
        table.provenance,
        scale=replace(scale, source=f"{len(observations)} whole networks timed in the same run"),
        points_used=len(observations),
        left_out_error_pct=round(float(absolute_pct.mean()), 3),
        interval_pct=round(float(np.hypot(np.quantile(absolute_pct, 0.9), 100 * _Z_90 * drift)), 3),
    )
    return table.with_provenance(provenance)


def _observed(architecture: Architecture, entry: Estimate) -> Observation:
    ops = [op for layer in architecture.ops() for op in layer.ops]
    return Observation(
        label=str(architecture),
        view="",
        counts=dict(Counter(ops)),
        latency_ms=entry.latency_ms,
        error_ms=_NETWORK_ERROR * entry.latency_ms,
        whole_network=True,
    )


def _finite(value: float) -> float:
    return round(value, 3) if np.isfinite(value) else 0.0
