"""Optuna's samplers as strategies.

A sampler sees one categorical parameter for each choice and, to maximise, the accuracy less a penalty for every per
cent over the budget. Each question is put to a new study that holds the whole history, so that nothing but the history
decides the answer; that costs some milliseconds a network, which suits searches of hundreds of networks, not of tens
of thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nas.objective import Objective, Results
from nas.strategies._base import Strategy
from searchspace.choices import Genotypes
from searchspace.support.optional import optional_import

_PENALTY = 1.0  # points of accuracy for each per cent that the upper end of the latency exceeds the budget


class OptunaStrategy(Strategy):
    """Asks an Optuna sampler; by default the tree-structured Parzen estimator (Bergstra et al., NIPS 2011)."""

    name = "tpe"

    def __init__(self, objective: Objective, seed: int, sampler: Callable[[int], Any] | None = None) -> None:
        """Take a function from a seed to a new sampler; raises UserError when Optuna is not installed."""
        super().__init__(objective, seed)
        self._optuna = _import_optuna()
        self._sampler = sampler or self._parzen
        self._trials: list[Any] = []
        categorical = self._optuna.distributions.CategoricalDistribution
        self._distributions = {
            choice.path: categorical(tuple(range(len(choice.values)))) for choice in self.space.choices
        }

    def _parzen(self, seed: int) -> Any:
        return self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=20)

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        sampler = self._sampler(int(rng.integers(2**31)))
        study = self._optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(self._trials)
        asked = [study.ask(self._distributions).params for _ in range(n)]
        genotypes = np.array([[params[path] for path in self._distributions] for params in asked], dtype=np.uint8)
        return self.space.canonical(genotypes)

    def _learn(self, results: Results) -> None:
        excess_pct = 100 * np.maximum(results.high_ms / self.objective.budget_ms - 1, 0)
        for genotype, value in zip(results.genotypes.tolist(), results.top1 - _PENALTY * excess_pct, strict=True):
            params = dict(zip(self._distributions, genotype, strict=True))
            trial = self._optuna.trial.create_trial(
                params=params, distributions=self._distributions, value=float(value)
            )
            self._trials.append(trial)


def _import_optuna() -> Any:
    optuna = optional_import("optuna", purpose="this strategy", extra="optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
