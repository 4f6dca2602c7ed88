"""MnasNet's controller: a recurrent policy over the choices, trained with proximal policy optimisation.

One LSTM layer writes a network as a list of values, each given those before (Tan et al., arXiv 1807.11626, section 4.2;
the controller is that of NASNet, Zoph et al., arXiv 1707.07012, appendix A). It learns from every network it drew; of
one over the ceiling, which nobody evaluated, only the latency moves it: its accuracy counts as the average one.

The tuned settings also make the best networks so far likelier (priority queue training: Abolafia et al., arXiv
1801.03526) and let the weight of the entropy fall to `entropy_end` over the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Self

import numpy as np

from nas.objectives import Objective, Results, Values
from nas.strategies._base import Strategy
from nas.strategies._options import Within, keyword_settings
from nas.strategies._rewards import REWARDS
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PpoSettings:
    """What decides how the policy learns.

    `batch` networks are drawn for one update of `epochs` passes in which the ratio of probabilities is clipped at
    1 +- `clip`; `baseline_decay` is that of the moving average of rewards, `initial` the bound of the first weights.
    The weight of the entropy falls in a line from `entropy` to `entropy_end` while `horizon` networks are told (0: it
    stays). The log-likelihood of the best `queue` networks within the budget counts with `queue_weight`.
    """

    reward: str = "absolute"
    learning_rate: Annotated[float, Within(0)] = 0.003
    entropy: Annotated[float, Within(0)] = 0.05
    baseline_decay: Annotated[float, Within(0, 1)] = 0.0
    batch: Annotated[int, Within(1)] = 20
    epochs: Annotated[int, Within(1)] = 4
    clip: Annotated[float, Within(0, 1)] = 0.2
    hidden: Annotated[int, Within(1)] = 100
    initial: Annotated[float, Within(0)] = 0.1
    normalised: bool = True
    entropy_end: Annotated[float, Within(0)] = 0.01
    horizon: Annotated[int, Within(0)] = 0
    queue: Annotated[int, Within(0)] = 10
    queue_weight: Annotated[float, Within(0)] = 0.05

    def __post_init__(self) -> None:
        if self.reward not in REWARDS:
            raise UserError(f"unknown reward {self.reward!r:.40}, expected one of {', '.join(REWARDS)}")


_PUBLISHED = {
    "learning_rate": 3.5e-4,
    "entropy": 1e-5,
    "baseline_decay": 0.95,
    "batch": 20,
    "normalised": False,
    "queue": 0,
}
PRESETS = {
    "ppo": PpoSettings(),
    "ppo-mnasnet": PpoSettings(reward="soft", **_PUBLISHED),  # type: ignore[arg-type]
    "ppo-mnasnet-small": PpoSettings(reward="small", **_PUBLISHED),  # type: ignore[arg-type]
    "ppo-mnasnet-hard": PpoSettings(reward="hard", **_PUBLISHED),  # type: ignore[arg-type]
}


class ProximalPolicy(Strategy):
    """Draws networks from a recurrent policy and learns from their rewards; see `PRESETS` for its settings by name."""

    name = "ppo"

    def __init__(self, objective: Objective, seed: int, settings: PpoSettings | None = None, name: str = "ppo") -> None:
        import torch

        from nas.strategies._policy import RecurrentPolicy

        super().__init__(objective, seed)
        self.name = name
        self.chosen = settings or PpoSettings()
        self.policy = RecurrentPolicy(self.space, self.chosen.hidden, self.chosen.initial, seed)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), lr=self.chosen.learning_rate)
        self._baseline: float | None = None
        self._mean_top1: float | None = None
        self._best: Genotypes = np.empty((0, len(self.space.choices)), np.uint8)
        self._best_top1: Values = np.empty(0)

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return the tuned one, whose batches grow in long searches."""
        batch = min(max(evaluations // 125, 10), 100)
        return cls(objective, seed, replace(PpoSettings(), batch=batch, horizon=evaluations))

    @property
    def settings(self) -> Mapping[str, Any]:
        """All of `PpoSettings`."""
        return asdict(self.chosen)

    @property
    def choosable(self) -> Mapping[str, Any]:
        """All of `PpoSettings`."""
        return keyword_settings(PpoSettings)

    def with_settings(self, chosen: Mapping[str, Any]) -> Strategy:
        """Return a new one with some of its `PpoSettings` replaced."""
        return type(self)(self.objective, self.seed, replace(self.chosen, **chosen), self.name)

    @property
    def batch(self) -> int:
        """Networks for one update."""
        return self.chosen.batch

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        return self.policy.draw(rng, n)

    def _learn(self, results: Results) -> None:
        if self.chosen.queue:
            self._keep_best(results)
        advantage = self._advantage(results)
        if advantage is not None:
            self._improve(results.genotypes, advantage)

    def _advantage(self, results: Results) -> Values | None:
        """Return the rewards less their moving average, (n,); None while no accuracy at all is known."""
        known, decay = ~np.isnan(results.top1), self.chosen.baseline_decay
        if known.any():
            mean = float(results.top1[known].mean())
            self._mean_top1 = mean if self._mean_top1 is None else decay * self._mean_top1 + (1 - decay) * mean
        elif self._mean_top1 is None:
            self._mean_top1 = 50.0  # any accuracy will do: only latencies differ
        top1 = np.where(known, results.top1, self._mean_top1)
        reward = REWARDS[self.chosen.reward](top1, results.high_ms, self.objective.budget_ms)
        mean_reward = float(reward.mean())
        before = self._baseline
        self._baseline = mean_reward if before is None else decay * before + (1 - decay) * mean_reward
        advantage = reward - self._baseline
        if self.chosen.normalised:
            advantage = advantage / (float(reward.std()) + 1e-8)
        return np.asarray(advantage)

    def _keep_best(self, results: Results) -> None:
        good = (results.high_ms <= self.objective.budget_ms) & ~np.isnan(results.top1)
        genotypes = np.concatenate([self._best, results.genotypes[good]])
        top1 = np.concatenate([self._best_top1, results.top1[good]])
        _, first = np.unique(genotypes, axis=0, return_index=True)
        first.sort()
        order = first[np.argsort(-top1[first], kind="stable")][: self.chosen.queue]
        self._best, self._best_top1 = genotypes[order], top1[order]

    @property
    def _entropy(self) -> float:
        """The weight of the entropy after what was told."""
        chosen = self.chosen
        done = min(self._told / chosen.horizon, 1.0) if chosen.horizon else 0.0
        return chosen.entropy + done * (chosen.entropy_end - chosen.entropy)

    def _improve(self, genotypes: Genotypes, advantage: Values) -> None:
        """Take `epochs` steps on the clipped objective (Schulman et al., arXiv 1707.06347, equation 7)."""
        import torch

        weight = torch.from_numpy(advantage).float()
        with torch.no_grad():
            before, _ = self.policy.log_probability(genotypes)
        for _ in range(self.chosen.epochs):
            log_probability, entropy = self.policy.log_probability(genotypes)
            ratio = (log_probability - before).exp()
            clipped = ratio.clamp(1 - self.chosen.clip, 1 + self.chosen.clip)
            gain = torch.minimum(ratio * weight, clipped * weight).mean() + self._entropy * entropy.mean()
            if len(self._best):
                gain = gain + self.chosen.queue_weight * self.policy.log_probability(self._best)[0].mean()
            self._optimizer.zero_grad()
            (-gain).backward()
            self._optimizer.step()

    def snapshot(self) -> bytes:
        """Return the policy, its optimiser, the averages of rewards and the best networks."""
        from nas.strategies._snapshot import packed

        plain: dict[str, Any] = {"told": self._told, "baseline": self._baseline, "mean_top1": self._mean_top1}
        plain |= {"best": self._best.tolist(), "best_top1": self._best_top1.tolist()}
        return packed(self.policy, self._optimizer, plain)

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot; raises UserError, with nothing changed, when it is damaged."""
        from nas.strategies._snapshot import unpack

        plain = unpack(snapshot, self.policy, self._optimizer)
        self._told, self._asked = int(plain["told"]), 0
        self._baseline, self._mean_top1 = plain["baseline"], plain["mean_top1"]
        self._best = np.array(plain["best"], dtype=np.uint8).reshape(-1, len(self.space.choices))
        self._best_top1 = np.array(plain["best_top1"], dtype=np.float64)
