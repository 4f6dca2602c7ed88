"""The problem that strategies are compared on: a space, what its networks cost, and how accurate they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.evaluators import AccuracyRows, Evaluator, PredictorEvaluator, load_table_evaluator
from nas.jobs.compare.settings import TABLE, CompareSettings
from nas.objectives import Cost, MaddsCost, Objective, Values
from nas.predictor import covered_part, shipped_predictor
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space
from searchspace.support.files import sha256_text

_DRAWN_FOR_REFERENCE = 1000


@dataclass(frozen=True)
class Problem:
    """What is compared on; `rows` are the networks of a table, None where a predictor knows every network.

    `lookup` gives top-1 in percent, (n,), NaN for networks nobody evaluated. `reference` is the point, (cost, top-1),
    from which hypervolumes are measured; `fingerprint` hashes the accuracies and the latency table.
    """

    objective: Objective
    lookup: Callable[[Genotypes], Values]
    rows: AccuracyRows | None
    truth: str
    unit: str
    reference: tuple[float, float]
    fingerprint: str


def open_problem(settings: CompareSettings) -> Problem:
    """Load everything the settings name; raises UserError for whatever is wrong with it."""
    space = load_space(settings.space)
    if settings.evaluator.startswith(TABLE):
        return _table_problem(settings, space)
    space = covered_part(space)
    evaluator = PredictorEvaluator(shipped_predictor(space.name), space)
    cost = _cost(settings, space)
    assert settings.budget_ms is not None
    objective = Objective(cost, settings.budget_ms)
    drawn = space.sample(np.random.default_rng(0), _DRAWN_FOR_REFERENCE)
    reference = (objective.ceiling_ms, float(evaluator.top1(drawn).min()))
    return Problem(objective, evaluator.top1, None, evaluator.label, "ms", reference, _fingerprint(evaluator, cost))


def _table_problem(settings: CompareSettings, space: SearchSpace) -> Problem:
    evaluator = load_table_evaluator(settings.evaluator.removeprefix(TABLE), space)
    rows = evaluator.rows
    cost = _cost(settings, evaluator.space)
    highest = float(cost.interval_ms(rows.genotypes)[1].max())
    objective = Objective(cost, settings.budget_ms or highest, ceiling=1.0, rows=rows.genotypes)
    reference = (float(cost.latency_ms(rows.genotypes).max()), float(rows.top1.min()))
    unit = "M multiply-adds" if settings.device is None else "ms"
    fingerprint = _fingerprint(evaluator, cost)
    return Problem(objective, evaluator.lookup, rows, evaluator.label, unit, reference, fingerprint)


def _fingerprint(evaluator: Evaluator, cost: Cost) -> str:
    return sha256_text(f"{evaluator.fingerprint} {cost.table.sha256 if isinstance(cost, CompiledCost) else ''}")


def _cost(settings: CompareSettings, space: SearchSpace) -> Cost:
    return MaddsCost(space) if settings.device is None else CompiledCost(space, load_device(settings.device))
