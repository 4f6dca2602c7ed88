"""Rank correlations of scores with the truth, with bootstrap intervals, over all networks and within the best tenth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.objectives import Values

RESAMPLES = 1000
BEST_SHARE = 0.1
FEWEST_RANKED = 5


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Rank correlations of one score with the truth, with 95 % bootstrap intervals, over `count` networks."""

    count: int
    kendall: float
    kendall_low: float
    kendall_high: float
    spearman: float
    spearman_low: float
    spearman_high: float


def correlation(score: Values, truth: Values, seed: int = 0) -> Correlation:
    """Correlate a score with the truth, both of shape (n,), higher meaning better."""
    from scipy.stats import kendalltau, spearmanr

    def both(rows: Any) -> tuple[float, float]:
        if np.ptp(score[rows]) == 0 or np.ptp(truth[rows]) == 0:
            return 0.0, 0.0  # all tied: such a score ranks nothing, and neither coefficient is defined
        return float(kendalltau(score[rows], truth[rows])[0]), float(spearmanr(score[rows], truth[rows])[0])

    rng = np.random.default_rng(seed)
    draws = np.array([both(rng.integers(0, len(truth), len(truth))) for _ in range(RESAMPLES)])
    (kendall_low, spearman_low), (kendall_high, spearman_high) = np.percentile(draws, [2.5, 97.5], axis=0)
    kendall, spearman = both(slice(None))
    return Correlation(
        count=len(truth),
        kendall=kendall,
        kendall_low=float(kendall_low),
        kendall_high=float(kendall_high),
        spearman=spearman,
        spearman_low=float(spearman_low),
        spearman_high=float(spearman_high),
    )


def compare(scores: Mapping[str, Values], truth: Values, seed: int = 0) -> dict[str, dict[str, Correlation]]:
    """Correlate every score with the truth: {score: {"all": ..., "best tenth": ...}}, the best by truth.

    The best tenth is left out where it holds too few networks to rank.
    """
    parts = {"all": np.ones(len(truth), dtype=bool)}
    best = np.zeros(len(truth), dtype=bool)
    best[np.argsort(-truth, kind="stable")[: round(BEST_SHARE * len(truth))]] = True  # by rank: truths may tie
    if best.sum() >= FEWEST_RANKED:
        parts["best tenth"] = best
    return {
        name: {part: correlation(score[rows], truth[rows], seed) for part, rows in parts.items()}
        for name, score in scores.items()
    }
