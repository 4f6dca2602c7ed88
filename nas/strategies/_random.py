"""Random search: the baseline every strategy has to beat."""

from __future__ import annotations

import numpy as np

from nas.strategies._base import Strategy
from searchspace.choices import Genotypes


class RandomSearch(Strategy):
    """Every choice uniform; networks over the ceiling are pulled under it."""

    name = "random"

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        return self.space.sample(rng, n)
