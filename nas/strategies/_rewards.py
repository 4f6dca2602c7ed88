"""Rewards of policies: one figure from accuracy and latency, as MnasNet and TuNAS weigh them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.objectives import Values, absolute_reward


@dataclass(frozen=True)
class Reward:
    """ACC x (LAT / T)^w with w = `within` up to the target and `over` beyond it (Tan et al., arXiv 1807.11626, 3.1).

    `absolute` is TuNAS's form instead, ACC + over x |LAT / T - 1| (Bender et al., arXiv 2008.06120).
    """

    name: str
    within: float
    over: float
    absolute: bool = False

    def __call__(self, top1: Values, latency_ms: Values, target_ms: float) -> Values:
        """Return the rewards, (n,), of top-1 in percent (n,), latencies (n,) and the latency aimed at."""
        if self.absolute:
            return absolute_reward(top1, latency_ms, target_ms, self.over)
        ratio = latency_ms / target_ms
        return np.asarray(top1 / 100 * ratio ** np.where(ratio <= 1, self.within, self.over))


REWARDS = {
    reward.name: reward
    for reward in (
        Reward("soft", -0.07, -0.07),  # doubling the latency should buy 5 % of accuracy
        Reward("small", -0.15, -0.15),  # MobileNetV3-Small (Howard et al., arXiv 1905.02244, 4.1)
        Reward("hard", 0.0, -1.0),
        Reward("absolute", -0.10, -0.10, absolute=True),
    )
}
