"""REINFORCE over independent choices with TuNAS's absolute reward.

The controller is one vector of logits for each choice. A batch is drawn from it, its rewards less a moving average
weigh the gradients of the log-probabilities, and Adam follows them (Bender et al., arXiv 2008.06120, and
google-research/tunas: Adam with beta1 = 0, beta2 = 0.999; baseline with decay 0.95; no entropy term). It learns from
every network it drew. Of one over the ceiling nobody knows the accuracy: it counts with the latency's part of the
reward alone, so the two parts have a baseline each, whose sum is TuNAS's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np

from nas.objectives import Objective, Results, Values, absolute_reward
from nas.strategies._base import Strategy
from nas.strategies._options import Within
from searchspace.choices import Genotypes

_ADAM_BETA2 = 0.999
_ADAM_EPSILON = 1e-8


class Reinforce(Strategy):
    """Policy gradient on the choices' logits; aims at latencies whose upper end equals the budget.

    `beta` is the weight of the latency term (TuNAS: -0.10), `learning_rate` Adam's for each batch told,
    `baseline_decay` that of the moving average of rewards.
    """

    name = "reinforce"

    def __init__(
        self,
        objective: Objective,
        seed: int,
        *,
        learning_rate: Annotated[float, Within(0)] = 0.05,
        beta: Annotated[float, Within(-100, 0)] = -0.10,
        baseline_decay: Annotated[float, Within(0, 1)] = 0.95,
        batch: Annotated[int, Within(1)] = 50,
    ) -> None:
        super().__init__(objective, seed)
        self.learning_rate = learning_rate
        self.beta = beta
        self.baseline_decay = baseline_decay
        self._batch = batch
        values = np.arange(int(self.space.radices.max()))
        self._exists = values < self.space.radices[:, None]
        self._logits: Values = np.zeros((len(self.space.radices), len(values)))
        self._second_moment: Values = np.zeros_like(self._logits)
        self._steps = 0
        self._baselines: dict[str, float] = {}

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return one that makes about a hundred steps, of 10 to 250 networks."""
        return cls(objective, seed, batch=min(max(evaluations // 100, 10), 250))

    @property
    def batch(self) -> int:
        """Networks for one step."""
        return self._batch

    @property
    def settings(self) -> Mapping[str, Any]:
        """Learning rate, weight of latency, decay of the baseline and networks for one step."""
        return {
            "learning_rate": self.learning_rate,
            "beta": self.beta,
            "baseline_decay": self.baseline_decay,
            "batch": self._batch,
        }

    def probabilities(self) -> Values:
        """Return the probability of every value of every choice, shape (choices, largest number of values)."""
        weights = np.where(self._exists, np.exp(self._logits - self._logits.max(axis=1, keepdims=True)), 0.0)
        probabilities: Values = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        thresholds = np.cumsum(self.probabilities(), axis=1)
        draws = rng.random((n, len(thresholds), 1)) * thresholds[:, -1:]
        return self.space.canonical((draws >= thresholds).sum(axis=2).astype(np.uint8))

    def _learn(self, results: Results) -> None:
        nothing = np.zeros(len(results))
        advantage = self._above_baseline(
            "latency", absolute_reward(nothing, results.high_ms, self.objective.budget_ms, self.beta)
        )
        known = ~np.isnan(results.top1)
        if known.any():
            advantage[known] += self._above_baseline("top1", results.top1[known] / 100)
        self._ascend(self._policy_gradient(results.genotypes, advantage))

    def _above_baseline(self, part: str, reward: Values) -> Values:
        """Return a part of the reward, (n,), less the moving average of its means, this one included."""
        mean, decay = float(reward.mean()), self.baseline_decay
        before = self._baselines.get(part)
        self._baselines[part] = mean if before is None else decay * before + (1 - decay) * mean
        return reward - self._baselines[part]

    def _policy_gradient(self, genotypes: Genotypes, advantage: Values) -> Values:
        """Return the mean of advantage x gradient of the log-probability; an inactive choice has no part in it."""
        taken = genotypes[:, :, None] == np.arange(self._logits.shape[1])
        weight = self.space.active(genotypes) * advantage[:, None]
        gradient: Values = (weight[:, :, None] * (taken - self.probabilities())).mean(axis=0)
        return gradient

    def _ascend(self, gradient: Values) -> None:
        """One step of Adam with beta1 = 0."""
        self._steps += 1
        self._second_moment = _ADAM_BETA2 * self._second_moment + (1 - _ADAM_BETA2) * gradient**2
        unbiased = self._second_moment / (1 - _ADAM_BETA2**self._steps)
        self._logits = self._logits + self.learning_rate * gradient / (np.sqrt(unbiased) + _ADAM_EPSILON)
