"""Search strategies: what to try next, given what was found so far.

`make_strategy("evolution", objective, seed, evaluations)` makes a shipped one. Any object of a `Strategy` subclass can
be passed to `nas.jobs.search.ask_tell.run_search` in its place; `nas.strategies.testing` holds the tests it must pass.
"""

from nas.strategies._assisted import PredictorAssisted
from nas.strategies._base import Strategy
from nas.strategies._evolution import RegularisedEvolution
from nas.strategies._exact import ExactAnswer, ExactSearch, additive_optimum
from nas.strategies._learnt import Learnt, LearntDistribution
from nas.strategies._local import LocalSearch
from nas.strategies._make import STRATEGY_NAMES, make_strategy
from nas.strategies._options import read_options, typed
from nas.strategies._optuna import OptunaStrategy
from nas.strategies._ppo import PpoSettings, ProximalPolicy
from nas.strategies._random import RandomSearch
from nas.strategies._reinforce import Reinforce

__all__ = [
    "STRATEGY_NAMES",
    "ExactAnswer",
    "ExactSearch",
    "Learnt",
    "LearntDistribution",
    "LocalSearch",
    "OptunaStrategy",
    "PpoSettings",
    "PredictorAssisted",
    "ProximalPolicy",
    "RandomSearch",
    "RegularisedEvolution",
    "Reinforce",
    "Strategy",
    "additive_optimum",
    "make_strategy",
    "read_options",
    "typed",
]
