"""What came out of a comparison, in numbers and in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from nas.jobs.slim.run import INITIAL, NETADAPT
from nas.jobs.slim.tuning import FinalOutcome


@dataclass(frozen=True)
class MethodScore:
    """Test top-1 in percent of one method after one kind of final training, by repetition."""

    method: str
    kind: str
    top1: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the repetitions."""
        return fmean(self.top1)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the repetitions, None for a single one."""
        return stdev(self.top1) if len(self.top1) > 1 else None

    def __str__(self) -> str:
        """Return `71.20 %`, with `± 0.30` where there are repetitions."""
        return f"{self.mean:.2f} %" + (f" ± {self.spread:.2f}" if self.spread is not None else "")


def scores(finals: Mapping[tuple[str, str, int], FinalOutcome]) -> tuple[MethodScore, ...]:
    """Return one score for each method and kind, in the order in which they first appear."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for (method, kind, seed), outcome in finals.items():
        found.setdefault((method, kind), {})[seed] = outcome.test.top1
    return tuple(MethodScore(*key, tuple(top1[seed] for seed in sorted(top1))) for key, top1 in found.items())


def verdict(found: Sequence[MethodScore]) -> tuple[str, ...]:
    """Return one sentence for each baseline and kind: how much better NetAdapt was, or worse, and how surely."""
    own = {score.kind: score for score in found if score.method == NETADAPT}
    return tuple(
        _sentence(own[score.kind], score)
        for score in found
        if score.method not in (NETADAPT, INITIAL) and score.kind in own
    )


def _sentence(own: MethodScore, other: MethodScore) -> str:
    difference = own.mean - other.mean
    relation = "beat" if difference > 0 else "did not beat"
    repetitions = len(own.top1)
    text = f"{own.kind.capitalize()}, NetAdapt {relation} {other.method}: {difference:+.2f} points"
    if repetitions == 1:
        return f"{text}, one repetition each, so luck is not excluded."
    wins = sum(mine > theirs for mine, theirs in zip(own.top1, other.top1, strict=True))
    return f"{text} on average over {repetitions} repetitions, ahead in {wins} of them."
