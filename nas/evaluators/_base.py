"""The one interface of everything that scores networks for a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nas.objectives import Values
from searchspace.choices import Genotypes


class Evaluator(Protocol):
    """Scores genotypes of one space. The same genotype always gets the same score."""

    @property
    def label(self) -> str:
        """What the score is, such as `ImageNet top-1 of Once-for-All's supernet`."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the scores; a search is resumed only under the same one."""
        ...

    @property
    def basis(self) -> Mapping[str, str]:
        """Facts that tell a reader how far to trust the scores, by name."""
        ...

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 accuracies in percent, shape (n,), for canonical genotypes of shape (n, choices)."""
        ...


def check_top1(scores: Values, count: int) -> None:
    """Raise ValueError unless scores are `count` finite numbers from 0 to 100, as an evaluator has to return them."""
    if scores.shape != (count,):
        raise ValueError(f"expected {count} values of top-1, got an array of shape {scores.shape}")
    wrong = scores[~((scores >= 0) & (scores <= 100))]  # NaN is in no range
    if len(wrong):
        raise ValueError(f"a top-1 of {wrong[0]:g} %, expected finite values from 0 to 100")
