"""Drawing from a distribution over networks that was learnt before the search, beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nas.objectives import Objective, Values
from nas.strategies._base import Strategy
from searchspace.choices import Genotypes
from searchspace.support.files import sha256_text

Learnt = Callable[[], Sequence[Values]]


class LearntDistribution(Strategy):
    """Proposes the most likely network first, brought under the ceiling, then draws; learns nothing more.

    `learnt` returns, once training has ended, one vector of probabilities for each choice of the space. It is called
    when the first network is asked for, so the strategy can be made before the training.
    """

    name = "learnt"

    def __init__(self, objective: Objective, seed: int, learnt: Learnt) -> None:
        super().__init__(objective, seed)
        self._learnt = learnt

    @property
    def settings(self) -> Mapping[str, Any]:
        """A hash of the probabilities."""
        return {"probabilities_sha256": sha256_text(str([part.tolist() for part in self._learnt()]))}

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        probabilities = self._learnt()
        proposals = self._affordable(rng, lambda rng, n: self.space.sample_from(rng, probabilities, n), n)
        if self._told == 0:
            most_likely = np.array([[part.argmax() for part in probabilities]], dtype=np.uint8)
            proposals[0] = self.objective.pull(rng, self.space.canonical(most_likely))[0]
        return proposals
