"""The header of a search's journal: all that decides the search, so that only the same one goes on from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from latency_lut.table import LatencyTable
from nas.evaluators import Evaluator
from nas.objectives import JointCost, Objective
from nas.strategies import Strategy
from searchspace.space import SearchSpace, staged
from searchspace.support.files import sha256_text


def search_header(
    objective: Objective,
    strategy: Strategy,
    evaluator: Evaluator,
    table: LatencyTable,
    *,
    evaluations: int,
    batch: int,
) -> dict[str, Any]:
    """Return all that decides a search, for its journal: a search is resumed only under an equal header."""
    return {
        "space": objective.space.name,
        "space_sha256": space_fingerprint(staged(objective.space)),
        "table": table.provenance.device,
        "table_sha256": table.sha256,
        "evaluator": evaluator.label,
        "evaluator_sha256": evaluator.fingerprint,
        "strategy": strategy.name,
        "strategy_settings": dict(strategy.settings),
        "seed": strategy.seed,
        "budget_ms": objective.budget_ms,
        "ceiling_ms": objective.ceiling_ms,
        "evaluations": evaluations,
        "batch": batch,
        **_further_limits(objective),
    }


def _further_limits(objective: Objective) -> dict[str, Any]:
    """Return what a journal's header adds where several budgets are kept."""
    if not isinstance(objective.cost, JointCost):
        return {}
    further = objective.cost.parts[1:]
    return {"also": {one.device: {"limit_ms": one.limit_ms, "table_sha256": one.cost.table.sha256} for one in further}}


def space_fingerprint(space: SearchSpace) -> str:
    """Return a hash of all that a space file says, equal in every process."""

    def plain(value: Any) -> Any:
        return sorted(value) if isinstance(value, frozenset) else str(value)

    return sha256_text(json.dumps(asdict(space.spec), sort_keys=True, default=plain))
