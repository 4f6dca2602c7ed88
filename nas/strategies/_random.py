"""Random search: the baseline every strategy has to beat."""

from __future__ import annotations

import numpy as np

from nas.strategies._base import Strategy
from searchspace.choices import Genotypes


class RandomSearch(Strategy):
    """Every choice uniform, among the networks under the ceiling."""

    name = "random"

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        return self._affordable(rng, self.objective.draw, n)
