"""Judging what was chosen by one run's accuracies by the other's, so that none is rewarded for the luck of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.jobs.reproduce.netadapt_truth.table import Truth, row_of

Z_95 = 1.959964  # 95 % of a normal distribution lie within this many standard deviations


@dataclass(frozen=True)
class Judged:
    """What one method chose, in both directions: accuracies by the other run, regret and rank within the limit."""

    method: str
    chosen: tuple[str, ...]  # examples: the first choice by run 1 and by run 2
    accuracy: float
    regret: float
    regret_ci: tuple[float, float]
    over_uniform: float
    rank: float
    networks: int  # judged, over both directions


def judge(truth: Truth, limit: float, method: str, choices: tuple[list[str], list[str]], uniform: str) -> Judged:
    """Judge what was chosen by run 1 and by run 2, each by the other run.

    Regret is against the best network within the limit by the mean of both runs, at its own accuracy in the judging
    run, so that no method can be better than the truth by luck on average. Its interval holds the noise of a run and,
    for methods with a random part, the spread of their choices.
    """
    within = np.flatnonzero(truth.madds <= limit)
    best = within[truth.accuracies[within].mean(axis=1).argmax()]
    accuracies, regrets, over, ranks = [], [], [], []
    for run, chosen in enumerate(choices):
        judged = truth.accuracies[:, 1 - run]
        for digits in chosen:
            accuracy = judged[row_of(digits)]
            accuracies.append(accuracy)
            regrets.append(judged[best] - accuracy)
            over.append(accuracy - judged[row_of(uniform)])
            ranks.append(1 + int((judged[within] > accuracy).sum()))
    distinct = max(len({digits for chosen in choices for digits in chosen}), 1)
    spread = float(np.std(regrets, ddof=1)) if distinct > 2 else 0.0
    # Each distinct choice meets the run's noise once in either direction; the best network's noise is common to all.
    half = Z_95 * float(
        np.hypot(np.hypot(truth.noise, spread) / np.sqrt(min(distinct, len(regrets))), truth.noise / np.sqrt(2))
    )
    regret = float(np.mean(regrets))
    return Judged(
        method=method,
        chosen=tuple(chosen[0] for chosen in choices),
        accuracy=float(np.mean(accuracies)),
        regret=regret,
        regret_ci=(regret - half, regret + half),
        over_uniform=float(np.mean(over)),
        rank=float(np.mean(ranks)),
        networks=len(regrets),
    )
