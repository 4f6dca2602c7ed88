"""The table of a phone on AI Hub: whole networks, one job each, and the rates that explain them.

Ops are not timed one by one there: what a call costs is a good part of an accelerator's time for a whole network, and
every op would be a job to pay for.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from latency_lut.calibrate.assemble import mean_abs_pct
from latency_lut.calibrate.observations import Observation, observe
from latency_lut.calibrate.roofline_fit import ELEMENT_BYTES, FEWEST, choose_roofline, untimed_kinds
from latency_lut.limits import too_weak
from latency_lut.measure.aihub import AiHub, JobFailed, Profile
from latency_lut.measure.backend import Task, build_model
from latency_lut.measure.references import REFERENCES, References
from latency_lut.measure.rounds import OnProgress
from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.samples import Sample
from latency_lut.table import LatencyTable
from searchspace.architecture import Architecture
from searchspace.ops import OpKind
from searchspace.support.errors import UserError

_ERROR = 0.02
# TFLite's names of layers that stand for one kind of op; MUL, for one, stands for several.
_KINDS = {
    "CONV_2D": OpKind.CONV, "DEPTHWISE_CONV_2D": OpKind.DWCONV, "HARD_SWISH": OpKind.HSWISH, "ADD": OpKind.ADD,
    "CONCATENATION": OpKind.CONCAT, "MEAN": OpKind.POOL, "RESIZE_BILINEAR": OpKind.RESIZE,
    "MAX_POOL_2D": OpKind.MAXPOOL, "AVERAGE_POOL_2D": OpKind.AVGPOOL, "FULLY_CONNECTED": OpKind.LINEAR,
}  # fmt: skip


@dataclass(frozen=True)
class Farmed:
    """Networks by label with their profiles, those that did not run, and the references' times."""

    networks: Mapping[str, Architecture]
    profiles: Mapping[str, Profile]
    failed: Mapping[str, str]  # reason by label
    references: References

    def beside(self, unit: str) -> dict[str, tuple[str, ...]]:
        """Return the layers that ran elsewhere than on `unit`, of the networks that have some."""
        found = {label: profile.beside(unit) for label, profile in self.profiles.items()}
        return {label: layers for label, layers in found.items() if layers}


def run_precision(precision: Precision, unit: str) -> Precision:
    """Return what a model of that precision is computed in: accelerators run float32 models in 16 bits."""
    return Precision.FLOAT16 if precision is Precision.FLOAT32 and unit != "cpu" else precision


def farm(hub: AiHub, networks: Mapping[str, Architecture], precision: Precision, on_progress: OnProgress) -> Farmed:
    """Submit a job for every network that has none, and wait for all.

    Safe to interrupt anywhere: jobs are kept. Raises DeviceLost when the service is away and JobFailed where a
    reference does not run.
    """
    tasks: list[Task] = [*REFERENCES, *networks.values()]
    names, copies = [], []
    for done, task in enumerate(tasks):
        on_progress(done, 2 * len(tasks), task)
        model, times_in_model = build_model(task, precision)
        names += hub.submit([model])
        copies.append(times_in_model)
    profiles: dict[str, Profile] = {}
    failed: dict[str, str] = {}
    count = len(REFERENCES)
    references_ms = [
        hub.profile(name).timing().undisturbed_ms / times_in_model
        for name, times_in_model in zip(names[:count], copies[:count], strict=True)
    ]
    for done, (label, name) in enumerate(zip(networks, names[count:], strict=True), len(tasks) + count):
        on_progress(done, 2 * len(tasks), networks[label])
        try:
            profiles[label] = hub.profile(name)
        except JobFailed as failure:
            failed[label] = str(failure)
    on_progress(2 * len(tasks), 2 * len(tasks), tasks[-1])
    return Farmed(networks, profiles, failed, References(tuple(references_ms)))


def farmed_table(farmed: Farmed, hub: AiHub, precision: Precision) -> LatencyTable:
    """Return the table of rates fitted to the networks that ran wholly on the unit asked for.

    Raises UserError where they are too few.
    """
    beside = farmed.beside(hub.unit)
    observations = list(_observations(farmed, set(beside)))
    if len(observations) < FEWEST:
        raise UserError(
            f"{len(observations)} networks ran wholly on the {hub.unit.upper()} of {hub.device}, at least {FEWEST} are "
            f"needed for a table ({len(beside)} ran partly elsewhere, {len(farmed.failed)} did not run)"
        )
    ran = run_precision(precision, hub.unit)
    choice = choose_roofline(observations, ELEMENT_BYTES[ran])
    made = Provenance(
        **vars(hub.facts()),
        precision=ran,
        resolution=max(farmed.networks[label].resolution for label in farmed.profiles),
        runs=min(len(profile.times_ms) for profile in farmed.profiles.values()),
        date=datetime.date.today().isoformat(),
        method=Method.CALIBRATED,
        sources=("networks profiled on Qualcomm AI Hub",),
        points_used=len(observations),
        left_out_error_pct=mean_abs_pct(choice.left_out_errors),
        interval_pct=round(choice.interval_pct, 2),
        conditions=farmed.references.as_conditions(),
        notes=f"rates fitted to whole networks around those of a usual {choice.nominal.name}",
        untimed=untimed_kinds(observations),
        unsupported=_unsupported(farmed, hub.unit),
        roofline=choice.fit.roofline,
        scale=Scale(per_network_ms=choice.fit.network_ms),
    )
    table = LatencyTable(made, {})
    if too_weak(table):
        table = table.with_provenance(replace(made, notes=f"{made.notes}; too weak to search with"))
    return table


def _unsupported(farmed: Farmed, unit: str) -> tuple[OpKind, ...]:
    """Return the kinds of op that ran elsewhere in some network and on the unit in none."""
    layers = [layer for profile in farmed.profiles.values() for layer in profile.layers]
    there = {kind for kind, where in layers if where.lower() == unit}
    return tuple(sorted({_KINDS[kind] for kind, _ in layers if kind in _KINDS and kind not in there}))


def _observations(farmed: Farmed, beside: set[str]) -> Iterator[Observation]:
    for label, profile in farmed.profiles.items():
        if label not in beside:
            ops = tuple(op for layer in farmed.networks[label].ops() for op in layer.ops)
            yield observe(Sample(label, "", ops, profile.timing().undisturbed_ms, True), _ERROR)
