"""Strategies by name, for the command line."""

from __future__ import annotations

from nas.objective import Objective
from nas.strategies._base import Strategy
from nas.strategies._evolution import RegularisedEvolution
from nas.strategies._learnt import Learnt, LearntDistribution
from nas.strategies._optuna import OptunaStrategy
from nas.strategies._random import RandomSearch
from nas.strategies._reinforce import Reinforce
from searchspace.support.errors import UserError

_STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (RegularisedEvolution, RandomSearch, Reinforce, OptunaStrategy)
}
STRATEGY_NAMES = (*_STRATEGIES, LearntDistribution.name)
_MOST_TRIALS = 5000  # of Optuna's samplers: about half an hour for 45 choices


def make_strategy(
    name: str, objective: Objective, seed: int, evaluations: int, learnt: Learnt | None = None
) -> Strategy:
    """Return a shipped strategy, sized for a search of that many evaluations.

    `learnt` is the distribution that differentiable training learns. Raises UserError for an unknown name, or
    `learnt` without such a training.
    """
    if name == LearntDistribution.name:
        if learnt is None:
            raise UserError(
                f"the strategy {name} draws from what differentiable training learns: "
                "give --data DATA --supernet-training differentiable"
            )
        return LearntDistribution(objective, seed, learnt)
    if name not in _STRATEGIES:
        raise UserError(f"unknown strategy {name!r}, expected one of {', '.join(STRATEGY_NAMES)}")
    if name == RegularisedEvolution.name:
        return RegularisedEvolution.sized(objective, seed, evaluations)
    if name == OptunaStrategy.name and evaluations > _MOST_TRIALS:
        raise UserError(
            f"the strategy {name} is made for at most {_MOST_TRIALS:,} evaluations, its time grows with their square: "
            f"give --evaluations {_MOST_TRIALS} or fewer, or another strategy"
        )
    return _STRATEGIES[name](objective, seed)
