"""The named figures of a finished search: the winner's metrics, the budgets it keeps, how the front grew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.objectives import METRICS, Metric, Values, front_of, hypervolume_over_time, metric
from nas.objectives import peak_activation_bytes as peak_bytes
from searchspace.heads import HeadedNetwork

if TYPE_CHECKING:
    from nas.jobs.search.found import FoundNetwork, SearchResult
    from nas.jobs.search.prepare import Priced


@dataclass(frozen=True, kw_only=True)
class KeptLimit:
    """A budget and what the winner takes of it: predicted, and the ends of the 90 % interval, in the metric's unit."""

    metric: Metric
    limit: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """The front of top-1 against one metric: both in their units, lowest cost first."""

    metric: Metric
    cost: tuple[float, ...]
    top1: tuple[float, ...]
    chosen: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a search's page and result file tell by name beside the winner's prediction.

    `binds` is False where every network of the space keeps the budget. `volume` is the hypervolume of top-1 and latency
    after so many evaluations, in per cent x ms, from `reference` (top-1, latency). `columns` holds the metrics that the
    front's file shows beside the usual ones, one value for each network of the front.
    """

    metrics: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    limits: tuple[KeptLimit, ...] = ()
    binds: bool = True
    warnings: tuple[str, ...] = ()
    trade_offs: tuple[TradeOff, ...] = ()
    columns: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    volume: tuple[tuple[int, float], ...] = ()
    reference: tuple[float, float] = (0.0, 0.0)


def figures_of(prepared: Priced, found: SearchResult, *, exported: bool) -> Figures:
    """Return the figures of a search that has ended; `exported` says whether a model file goes with it."""
    settings, objective = prepared.settings, prepared.objective
    evaluated = found.evaluated
    latency_ms = prepared.measures.values(METRICS["latency_ms"], evaluated.genotypes)
    reference = (float(evaluated.top1.min()), max(objective.ceiling_ms, float(latency_ms.max())))
    further = [one for one in map(metric, settings.front) if one.name != "latency_ms"]
    devices = (settings.device, *settings.also)
    warning = precision_warning(
        {device: prepared.measures.costs[device].table.provenance.precision.value for device in devices}
    )
    limits = _limits(prepared, found.winner)
    return Figures(
        metrics=_metrics(prepared, found.winner, limits),
        limits=limits,
        binds=objective.binds,
        warnings=(warning,) if exported and warning else (),
        trade_offs=tuple(_trade_off(prepared, found, one) for one in further),
        columns=_columns(prepared, found),
        volume=tuple(hypervolume_over_time(evaluated.top1, latency_ms, reference)),
        reference=reference,
    )


def precision_warning(precisions: Mapping[str, str]) -> str | None:
    """Return what to say loudly where the budgets are of several precisions, given by device, first device first."""
    if len(set(precisions.values())) < 2:
        return None
    said = ", ".join(f"{precision} on {device}" for device, precision in precisions.items())
    first = next(iter(precisions))
    return (
        f"The budgets are of several precisions ({said}), and one file has one: the exported model is "
        f"{precisions[first]}, as on {first}, and keeps only the budgets of that precision."
    )


def _limits(prepared: Priced, winner: FoundNetwork) -> tuple[KeptLimit, ...]:
    genotype = np.array([winner.genotype], dtype=np.uint8)
    kept = []
    for limit in prepared.objective.limits:
        (low,), (high,) = limit.cost.interval_ms(genotype)
        (value,) = limit.cost.latency_ms(genotype)
        kept.append(
            KeptLimit(metric=limit.metric, limit=limit.value, value=float(value), low=float(low), high=float(high))
        )
    return tuple(kept)


def _metrics(prepared: Priced, winner: FoundNetwork, limits: tuple[KeptLimit, ...]) -> dict[str, dict[str, Any]]:
    """Return every metric of the winner by name, with unit and direction; latencies with their interval."""
    network, head = winner.architecture, prepared.space.task_head
    genotype = np.array([winner.genotype], dtype=np.uint8)
    if head is None:
        counts = {"madds": network.madds, "params": network.params, "peak_activation_bytes": peak_bytes(network)}
    else:
        whole = HeadedNetwork(network, head)
        counts = {"madds": whole.madds, "params": whole.params}
    latency = {"value": winner.latency_ms, "low": winner.low_ms, "high": winner.high_ms}
    found: dict[str, dict[str, Any]] = {
        "top1": {"value": winner.top1} | METRICS["top1"].as_dict(),
        "latency_ms": latency | METRICS["latency_ms"].as_dict(),
    }
    found |= {name: {"value": value} | METRICS[name].as_dict() for name, value in counts.items()}
    for kept in limits:
        ends = {"value": kept.value, "low": kept.low, "high": kept.high}
        found.setdefault(kept.metric.name, ends | kept.metric.as_dict())
    for one in map(metric, prepared.settings.front):
        if one.name not in found:
            found[one.name] = {"value": float(prepared.measures.values(one, genotype)[0])} | one.as_dict()
    return found


def _trade_off(prepared: Priced, found: SearchResult, one: Metric) -> TradeOff:
    costs, top1 = prepared.measures.values(one, found.evaluated.genotypes), found.evaluated.top1
    front = front_of(top1, [costs])
    chosen = prepared.measures.values(one, np.array([found.winner.genotype], dtype=np.uint8))
    return TradeOff(metric=one, cost=_plain(costs[front]), top1=_plain(top1[front]), chosen=float(chosen[0]))


def _columns(prepared: Priced, found: SearchResult) -> dict[str, tuple[float, ...]]:
    """Return what the front's file shows beside its usual columns: further metrics of the front, latency elsewhere."""
    usual = ("latency_ms", "params", "madds")
    names = dict.fromkeys([*prepared.settings.front, *(f"latency_ms@{device}" for device in prepared.settings.also)])
    genotypes = np.array([one.genotype for one in found.front], dtype=np.uint8)
    return {name: _plain(prepared.measures.values(metric(name), genotypes)) for name in names if name not in usual}


def _plain(values: Values) -> tuple[float, ...]:
    return tuple(map(float, values))
