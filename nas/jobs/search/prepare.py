"""A search before it starts: the space loaded and compiled for its devices.

What can be refused is refused here, before a folder is made: a budget no network meets, an unknown device, a space
without known accuracies.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from latency_lut import LatencyTable
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from latency_lut.limits import doubtful_kinds, doubts, require_above_constant
from latency_lut.measure.plan import space_ops
from latency_lut.table import EXCLUDED_MS
from nas.jobs.search.found import FrontCosts, SearchResult
from nas.jobs.search.scoring import Scoring
from nas.jobs.search.settings import SearchSettings
from nas.objectives import METRICS, JointCost, Measures, Objective, Part, front_of, metric
from nas.report.pictures import Point
from nas.strategies import Strategy, make_strategy
from searchspace.choices import Genotypes
from searchspace.heads import head as head_of
from searchspace.space import AROUND, SearchSpace, load_space
from searchspace.support.errors import Note, UserError


@dataclass(frozen=True)
class Priced:
    """The networks of a search and what they cost: its space, first latency table, objective and metrics."""

    settings: SearchSettings
    space: SearchSpace
    table: LatencyTable
    objective: Objective
    measures: Measures


@dataclass(frozen=True)
class PreparedSearch(Priced):
    """A search that is possible, to be run once: beside its costs where accuracies come from, and a new strategy."""

    scoring: Scoring
    strategy: Strategy


def prepare_search(settings: SearchSettings, scoring: Scoring) -> PreparedSearch:
    """Load and check what a search needs, within a second.

    Raises UserError for an unknown device, space or strategy, a space that cannot be scored, a table that lacks
    operations of the space, or a budget that no network meets, with the possible range.
    """
    if settings.also and scoring.trains:
        raise UserError("several devices at once are searched with predicted accuracies only: leave --data out")
    if settings.head is not None and scoring.trains:
        raise UserError("a search with a head ranks backbones by their predicted ImageNet accuracy: leave --data out")
    priced = price(settings, scoring.scorable(load_space(settings.space)), scoring.rows)
    strategy = make_strategy(
        settings.strategy,
        priced.objective,
        settings.seed,
        settings.evaluations,
        scoring.learnt,
        settings.strategy_options,
    )
    return PreparedSearch(**vars(priced), scoring=scoring, strategy=strategy)


def price(settings: SearchSettings, space: SearchSpace, rows: Genotypes | None = None) -> Priced:
    """Compile what the networks of a space cost on every device that the settings name, a head included.

    `rows`, (n, choices), are the only networks that can be evaluated, where not all can.
    """
    around = _network_of(settings.space, space)
    if settings.head is not None:
        space = space.with_head(head_of(settings.head, settings.classes))
    costs = _costs(settings, space)
    _say_doubts(settings, space, costs)
    limits = {settings.device: settings.budget_ms, **settings.also}
    parts = [Part(device, costs[device], limit_ms) for device, limit_ms in limits.items()]
    cost = JointCost(*parts) if settings.also else parts[0].cost
    objective = Objective(cost, settings.budget_ms, around=around, rows=rows)
    return Priced(settings, space, parts[0].cost.table, objective, Measures(space, {"": parts[0].cost, **costs}))


def _network_of(name: str, space: SearchSpace) -> Genotypes | None:
    """Return the genotype, shape (choices,), of the network that a space is around; None for other spaces."""
    if not name.startswith(AROUND):
        return None
    from searchspace.around import network_around

    return space.encode(network_around(name).with_classes(space.spec.classes))


def _costs(settings: SearchSettings, space: SearchSpace) -> dict[str, CompiledCost]:
    """Return the compiled latency on every device that has a budget or stands on the front."""
    named = (one.device for one in map(metric, settings.front) if one.device)
    return {
        device: CompiledCost(space, _table(device, space, settings), settings.extrapolate)
        for device in dict.fromkeys((settings.device, *settings.also, *named))
    }


def _table(device: str, space: SearchSpace, settings: SearchSettings) -> LatencyTable:
    table = load_device(device)
    return table.excluding(doubtful_kinds(table, space_ops(space))) if settings.only_supported else table


def _say_doubts(settings: SearchSettings, space: SearchSpace, costs: Mapping[str, CompiledCost]) -> None:
    """Refuse budgets that say nothing on their device and spaces whose networks all hold what it cannot run; warn."""
    for device, budget_ms in {settings.device: settings.budget_ms, **settings.also}.items():
        cost = costs[device]
        require_above_constant(cost.table, budget_ms)
        ops = space_ops(space)
        if settings.only_supported:
            kinds = doubtful_kinds(cost.table, ops)
            if kinds and cost.extremes().fastest_ms >= EXCLUDED_MS:
                named = ", ".join(kind.value for kind in kinds)
                raise UserError(
                    f"every network of {settings.space} holds {named}, which {device} cannot run or was never "
                    "timed with: choose another --space (mnasnet), or leave out --only-supported"
                )
            ops = {op for op in ops if op.kind not in kinds}
        for doubt in doubts(cost.table, ops, budget_ms):
            warnings.warn(doubt, Note, stacklevel=2)


def front_costs(prepared: Priced) -> FrontCosts:
    """Return what gives the metrics of the front for networks of shape (n, choices)."""
    chosen = [metric(name) for name in prepared.settings.front]
    return lambda genotypes: [prepared.measures.values(one, genotypes) for one in chosen]


def latency_front(prepared: Priced, found: SearchResult) -> tuple[Point, ...]:
    """Return the front of top-1 and the first device's latency, fastest first."""
    latency_ms = prepared.measures.values(METRICS["latency_ms"], found.evaluated.genotypes)
    front = front_of(found.evaluated.top1, [latency_ms])
    return tuple(Point(float(latency_ms[index]), float(found.evaluated.top1[index])) for index in front)
