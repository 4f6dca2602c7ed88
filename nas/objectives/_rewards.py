"""Rewards for strategies that learn from one number."""

from __future__ import annotations

import numpy as np

from nas.objectives._results import Values


def absolute_reward(top1: Values, latency_ms: Values, target_ms: float, beta: float) -> Values:
    """Return TuNAS's absolute reward, accuracy + beta x |latency / target - 1|, with accuracy from 0 to 1.

    Bender et al., arXiv 2008.06120; `abs` in search_space_utils.py of google-research/tunas. Beta is negative.
    """
    reward: Values = top1 / 100 + beta * np.abs(latency_ms / target_ms - 1)
    return reward
