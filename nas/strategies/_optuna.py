"""Optuna's samplers as strategies: `optuna:TPESampler`, `optuna:NSGAIISampler/front` and every other one by name.

One study lives as long as the strategy. A sampler is made anew for each question, from the seed and the history alone;
what samplers remember stands in the study. Each is told what it drew: an evaluated network with its accuracy and the
excess over the budget as a constraint, one over the ceiling as pruned, with its excess and without a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.objectives import Objective, Results
from nas.strategies._base import Strategy
from nas.strategies._optuna_samplers import SamplerUse, import_optuna, sampler_use
from nas.strategies._optuna_snapshot import fill_study, study_state
from nas.strategies._snapshot import opened, sealed
from searchspace.choices import Genotypes

_TRIES = 12  # draws for a network that is new and, where the sampler knows no constraints, within the budget
STUDY_LOG = "optuna_study.log"


class OptunaStrategy(Strategy):
    """Asks an Optuna sampler, for the best network within the budget or for the front of accuracy and latency.

    Replay asks again, so that a sampler finds in the study what it had noted there.
    """

    def __init__(
        self, objective: Objective, seed: int, sampler: str = "TPESampler", options: Mapping[str, Any] | None = None
    ) -> None:
        """Take the name of a sampler, with `/front` or `/budget` behind it, and options for making it.

        Raises UserError when Optuna is not installed, has no such sampler, or cannot make it.
        """
        super().__init__(objective, seed)
        self._use: SamplerUse = sampler_use(sampler, options or {})
        self.name = f"optuna:{self._use.label}"
        self._optuna = import_optuna()
        directions = ["maximize", "minimize"] if self._use.front else ["maximize"]
        self._study = self._optuna.create_study(directions=directions, study_name=self.name)
        self._distributions = {c.path: self._use.distribution(c) for c in self.space.choices}
        self._open: dict[bytes, list[Any]] = {}
        self._seen: set[bytes] = set()
        self.independent_parameters = 0

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return the tree-structured Parzen estimator (Bergstra et al., NIPS 2011)."""
        return cls(objective, seed)

    @property
    def choosable(self) -> Mapping[str, Any]:
        """The arguments of the sampler but for its seed, each a number, a truth value or a word."""
        return dict.fromkeys(self._use.arguments, Any)

    def with_settings(self, chosen: Mapping[str, Any]) -> Strategy:
        """Return a new one whose sampler is made with some arguments."""
        return type(self)(self.objective, self.seed, self._use.label, chosen)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The sampler with all its options, how choices become parameters, and Optuna's release."""
        return {"sampler": self._use.label, "optuna": self._optuna.__version__, **self._use.described}

    @property
    def batch(self) -> int:
        """Small, as a sampler learns from each result."""
        return 10

    @property
    def facts(self) -> Mapping[str, str]:
        """How many parameters the sampler drew independently of each other, as it tells in warnings."""
        drawn = f"{self.independent_parameters:,} in {len(self._study.trials):,} trials"
        return {"parameters sampled independently": drawn, "parameters": self._use.parameters}

    def save(self, folder: Path) -> None:
        """Write the study for `optuna-dashboard`, as a journal storage."""
        from nas.strategies._optuna_samplers import save_study

        save_study(self._study, folder / STUDY_LOG)

    def snapshot(self) -> bytes | None:
        """Return the study; None for a sampler whose notes are pickles, which are never read from a file."""
        if self._use.pickles or self._open:
            return None
        return sealed(
            {
                "told": self._told,
                "independent_parameters": self.independent_parameters,
                "seen": sorted(key.hex() for key in self._seen),
                "study": study_state(self._study),
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot; raises UserError, with nothing changed, when it is damaged."""
        state, _ = opened(snapshot)
        fill_study(self._study, state["study"], self._distributions)
        self._seen = {bytes.fromhex(key) for key in state["seen"]}
        self.independent_parameters = int(state["independent_parameters"])
        self._told, self._asked = int(state["told"]), 0

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        sampler = self._use.make(self.seed, int(rng.integers(2**31)))
        self._count_independent(sampler)
        self._study.sampler = sampler
        return np.stack([self._draw() for _ in range(n)])

    def _count_independent(self, sampler: Any) -> None:
        original = sampler.sample_independent

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.independent_parameters += 1
            return original(*args, **kwargs)

        sampler.sample_independent = counted

    def _draw(self) -> Genotypes:
        """Return one genotype, new where that can be had; trials given up are told as failed."""
        for left in reversed(range(_TRIES)):
            trial = self._study.ask()
            genotype = self._suggest(trial)
            key = genotype.tobytes()
            over = not self._use.constrained and self.objective.high_ms(genotype[None])[0] > self.objective.budget_ms
            if left and (key in self._seen or key in self._open or over):
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                continue
            self._open.setdefault(key, []).append(trial)
            break
        return genotype

    def _suggest(self, trial: Any) -> Genotypes:
        """Return the canonical genotype of a trial; only active choices become parameters where that is conditional."""
        genotype = np.zeros((1, len(self.space.choices)), dtype=np.uint8)
        for number, path in enumerate(self._distributions):
            if self._use.conditional and not self.space.active(genotype)[0, number]:
                continue
            genotype[0, number] = trial._suggest(path, self._distributions[path])
        found: Genotypes = self.space.canonical(genotype)[0]
        return found

    def _learn(self, results: Results) -> None:
        keys = [row.tobytes() for row in results.genotypes]
        if not any(key in self._open for key in keys):
            self.ask(len(results))  # a replay: ask what was asked then
        excess = results.high_ms / self.objective.budget_ms - 1
        for i, key in enumerate(keys):
            trials = self._open.get(key, [])
            trial = trials.pop() if trials else self._given(results.genotypes[i])
            trial.set_constraint("budget", float(excess[i]))
            self._seen.add(key)
            if np.isnan(results.top1[i]):
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
            else:
                values = [float(results.top1[i]), float(results.latency_ms[i])]
                self._study.tell(trial, values if self._use.front else values[0])
        for trial in (trial for trials in self._open.values() for trial in trials):
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # asked for and never answered
        self._open = {}

    def _given(self, genotype: Genotypes) -> Any:
        """Return a trial for a network that the sampler did not propose."""
        active = self.space.active(genotype[None])[0]
        chosen = {
            path: int(value)
            for path, value, used in zip(self._distributions, genotype.tolist(), active.tolist(), strict=True)
            if used
        }
        self._study.enqueue_trial(chosen)
        trial = self._study.ask()
        for path in chosen:
            trial._suggest(path, self._distributions[path])
        return trial
