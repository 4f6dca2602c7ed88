"""Strategies by name, for the command line."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from nas.objectives import Objective
from nas.strategies._assisted import PredictorAssisted
from nas.strategies._base import Strategy
from nas.strategies._evolution import RegularisedEvolution
from nas.strategies._exact import ExactSearch
from nas.strategies._learnt import Learnt, LearntDistribution
from nas.strategies._local import LocalSearch
from nas.strategies._options import read_options, typed
from nas.strategies._optuna import OptunaStrategy
from nas.strategies._ppo import PRESETS, ProximalPolicy
from nas.strategies._random import RandomSearch
from nas.strategies._reinforce import Reinforce
from searchspace.support.errors import UserError

_STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        RegularisedEvolution,
        RandomSearch,
        LocalSearch,
        PredictorAssisted,
        Reinforce,
        ProximalPolicy,
        ExactSearch,
    )
}
_TPE, _OPTUNA = "tpe", "optuna:"
_PUBLISHED = tuple(name for name in PRESETS if name not in _STRATEGIES)
STRATEGY_NAMES = (*_STRATEGIES, *_PUBLISHED, _TPE, LearntDistribution.name)
_MOST_TRIALS = 5000  # of Optuna's samplers: about half an hour for 45 choices


def make_strategy(
    name: str,
    objective: Objective,
    seed: int,
    evaluations: int,
    learnt: Learnt | None = None,
    options: Sequence[str] = (),
) -> Strategy:
    """Return a strategy, sized for a search of that many evaluations.

    `name` is that of a shipped one, `optuna:SAMPLER`, or `module:Class` of a `Strategy` of the caller's own. `learnt`
    is the distribution that differentiable training learns. `options` are KEY=VALUE words for its settings. Raises
    UserError for an unknown name, `learnt` without such a training, or an option that the strategy does not have.
    """
    made = _sized(name, objective, seed, evaluations, learnt)
    chosen = typed(name, read_options(options), made.choosable) if options else {}
    return made.with_settings(chosen) if chosen else made


def _sized(name: str, objective: Objective, seed: int, evaluations: int, learnt: Learnt | None) -> Strategy:
    if name == LearntDistribution.name:
        if learnt is None:
            raise UserError(
                f"the strategy {name} draws from what differentiable training learns: "
                "give --data DATA --supernet-training differentiable"
            )
        return LearntDistribution(objective, seed, learnt)
    if name == _TPE or name.startswith(_OPTUNA):
        return _optuna(name, objective, seed, evaluations)
    if name in _PUBLISHED:
        return ProximalPolicy(objective, seed, PRESETS[name], name)
    return _strategy_class(name).sized(objective, seed, evaluations)


def _optuna(name: str, objective: Objective, seed: int, evaluations: int) -> Strategy:
    if evaluations > _MOST_TRIALS:
        raise UserError(
            f"the strategy {name} is made for at most {_MOST_TRIALS:,} evaluations, its time grows with their square: "
            f"give --evaluations {_MOST_TRIALS} or fewer, or another strategy"
        )
    return OptunaStrategy(objective, seed, "TPESampler" if name == _TPE else name.removeprefix(_OPTUNA))


def _strategy_class(name: str) -> type[Strategy]:
    """Return a shipped class, or one given as `module:Class`; raises UserError saying what is wrong with it."""
    module, colon, attribute = name.partition(":")
    if not colon:
        if name not in _STRATEGIES:
            known = f"one of {', '.join(STRATEGY_NAMES)}, optuna:SAMPLER, or module:Class of your own"
            raise UserError(f"unknown strategy {name!r:.60}, expected {known}")
        return _STRATEGIES[name]
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"the strategy {name!r:.80} cannot be imported: {error}; is its folder in PYTHONPATH?"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UserError(f"{name!r:.80} is not a subclass of nas.strategies.Strategy")
    return found
