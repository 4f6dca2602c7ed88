"""Strategies by name, for the command line."""

from __future__ import annotations

from collections.abc import Callable

from nas.objective import Objective
from nas.strategies._base import Strategy
from nas.strategies._evolution import RegularisedEvolution
from nas.strategies._random import RandomSearch
from nas.strategies._reinforce import Reinforce
from searchspace.errors import UserError

_MAKERS: dict[str, Callable[[Objective, int], Strategy]] = {
    strategy.name: strategy for strategy in (RegularisedEvolution, RandomSearch, Reinforce)
}
STRATEGY_NAMES = tuple(_MAKERS)


def make_strategy(name: str, objective: Objective, seed: int) -> Strategy:
    """Return a shipped strategy with its default settings; raises UserError for an unknown name."""
    if name not in _MAKERS:
        raise UserError(f"unknown strategy {name!r}, expected one of {', '.join(STRATEGY_NAMES)}")
    return _MAKERS[name](objective, seed)
