"""What is known of the networks that are ranked: published accuracies, or those of trainings of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.evaluators import load_table_evaluator
from nas.objectives import Values
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError
from searchspace.support.files import sha256_text

# Networks to compare are drawn with a seed of their own, so that every run of a space compares the same ones.
NETWORKS_SEED = 20_240


@dataclass(frozen=True)
class Truth:
    """Networks (n, choices) with what is known of them: top-1 in percent (n,), and where it comes from."""

    genotypes: Genotypes
    top1: Values
    source: str

    @property
    def fingerprint(self) -> str:
        """A hash of which networks are compared."""
        return sha256_text("\n".join(",".join(map(str, row)) for row in self.genotypes.tolist()))


def published(path: str | Path, space: SearchSpace, networks: int) -> Truth:
    """Read accuracies from a table of the space's networks (`load_table_evaluator`), at most `networks` of them.

    They are always the same ones. Raises UserError naming the line that does not fit the space.
    """
    rows = load_table_evaluator(path, space).rows
    if rows.space.choices != space.choices:
        raise UserError(f"{path} describes a part of the space {space.name} whose choices are others")
    order = np.random.default_rng(NETWORKS_SEED).permutation(len(rows.top1))[:networks]
    chosen = np.sort(order)
    return Truth(rows.genotypes[chosen], rows.top1[chosen], f"published, {rows.source}")
