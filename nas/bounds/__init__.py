"""How far a search may be from the best network of its space: a proven bound, and an estimate that is called one.

`bound_for(evaluator, objective, known)` takes what scored the networks. A table of known accuracies and a score that
is a sum over neighbouring choices (`evaluator.additive`) give the optimum itself, and of a small space every network is
scored. Else the predictor's bound is that of an additive stand-in and of what it can be wrong by (`_background`,
`_stands`), narrowed by branch and bound over units; the estimate is the best network that ascents over whole units
reach. The work is counted, not timed, so that a slow machine proves the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from latency_lut.compiled import CompiledCost
from nas.bounds._ascent import estimate
from nas.bounds._branching import Branching
from nas.bounds._pieces import take_apart
from nas.bounds._units import Units, split_into_units
from nas.evaluators import Evaluator, PredictorEvaluator, TableEvaluator
from nas.objectives import Objective, Values
from nas.predictor import Predictor
from nas.strategies import additive_optimum
from searchspace.choices import Genotypes
from searchspace.space import staged

__all__ = ["Bound", "bound_for", "predictor_bound"]

_LISTED = 20_000  # networks of a space that are all scored
_BOXES = 512  # divided, about a second; 4,096 bound a tenth of a point better
_SHARPNESS = (0.0, 12.0, 25.0)  # of the backgrounds, from any setting to the best for their cost
_MOST_GROUPS = 14  # units and totals, whose corners are walked; twice as dear with each
_USUAL_GROUPS = 7


@dataclass(frozen=True, kw_only=True)
class Bound:
    """No network within the budget scores over `proved`; the best one scores about `estimated`; None: not known.

    `best` is the best network met on the way, (choices,), within the budget; `of` says what is bounded.
    """

    proved: float | None = None
    estimated: float | None = None
    best: Genotypes | None = None
    of: str = "space"

    def proves(self, top1: float) -> bool:
        """Whether a network of this score is proven to be the best within the budget."""
        return self.proved is not None and self.proved <= top1 + 1e-6

    def told(self, top1: float) -> str:
        """Say how far a network of this score is from the best within the budget."""
        if self.proves(top1):
            return f"Proven: no network of the {self.of} within the budget scores higher."
        if self.estimated is None:
            return ""
        likely = f"probably {max(self.estimated - top1, 0.0):.2f} (an estimate: ascents reach {self.estimated:.2f} %)"
        if self.proved is None:
            return f"Points from the best of the space: {likely}; no bound was proved."
        return (
            f"At most {self.proved - top1:.2f} points from the best of the space (proven: none within the budget "
            f"exceeds {self.proved:.2f} %), {likely}."
        )


def bound_for(
    evaluator: Evaluator,
    objective: Objective,
    known: Genotypes,
    boxes: int = _BOXES,
    proof: Callable[[], float | None] | None = None,
) -> Bound:
    """Bound the scores of all networks within the budget; `known` are good ones, (n, choices), to estimate from.

    No bound of the predictor is proved without `boxes`. `proof` waits for a bound of that much work that another
    process computes; where it raises OSError, it is computed here.
    """
    if isinstance(evaluator, TableEvaluator):
        return _table_bound(evaluator, objective)
    gain = getattr(evaluator, "additive", None)
    if gain is not None and isinstance(objective.first_cost, CompiledCost):
        cost = objective.first_cost
        share = 1 + cost.table.provenance.network_interval_pct / 100
        answer = additive_optimum(objective, gain, cost.slot_factors(), share, cost.overhead_ms)
        return Bound(proved=answer.bound, estimated=answer.bound, best=answer.genotype)
    if not isinstance(evaluator, PredictorEvaluator):
        return Bound()
    if objective.space.count() <= _LISTED:
        return _listed_bound(evaluator, objective)
    units = split_into_units(objective)
    if units is None:
        return Bound()
    best, score = estimate(evaluator, objective, units, known)
    proved = _proved(evaluator.predictor, objective, units, boxes, proof)
    return Bound(proved=None if proved is None else max(proved, score), estimated=score, best=best)


def _proved(
    predictor: Predictor, objective: Objective, units: Units, boxes: int, proof: Callable[[], float | None] | None
) -> float | None:
    if not boxes:
        return None
    if proof is not None:
        with suppress(OSError):
            return proof()
    return predictor_bound(predictor, objective, units, boxes)


def predictor_bound(predictor: Predictor, objective: Objective, units: Units, boxes: int = _BOXES) -> float | None:
    """Return a top-1, in percent, that the predictor gives no network within the budget; None where none is proved."""
    with np.errstate(divide="ignore", invalid="ignore"):  # totals of zeros, which are not used
        pieces = take_apart(predictor, staged(objective.space), units)
    if pieces is None or pieces.groups > _MOST_GROUPS:
        return None
    rng = np.random.default_rng(0)
    branching = Branching(pieces, units)
    for sharpness in _SHARPNESS:
        branching.look_from(branching.typical(rng, sharpness))
    branching.divide(boxes >> max(pieces.groups - _USUAL_GROUPS, 0))
    bound = float(np.ceil(branching.bound * 1000) / 1000)
    return bound if bound < 100 else None


def _listed_bound(evaluator: PredictorEvaluator, objective: Objective) -> Bound:
    everything = np.stack(list(staged(objective.space).enumerate()))
    within = everything[objective.high_ms(everything) <= objective.budget_ms]
    return _best_of(within, evaluator.top1(within)) if len(within) else Bound()


def _table_bound(evaluator: TableEvaluator, objective: Objective) -> Bound:
    rows = evaluator.rows
    within = objective.high_ms(rows.genotypes) <= objective.budget_ms
    return replace(_best_of(rows.genotypes[within], rows.top1[within]), of="table") if within.any() else Bound()


def _best_of(genotypes: Genotypes, top1: Values) -> Bound:
    best = int(top1.argmax())
    return Bound(proved=float(top1[best]), estimated=float(top1[best]), best=genotypes[best])
