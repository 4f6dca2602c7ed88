"""The largest and the smallest network of a space, by multiply-adds."""

from __future__ import annotations

import numpy as np

from searchspace.choices import Genotypes
from searchspace.space import SearchSpace

_SWEEPS = 3


def largest(space: SearchSpace) -> Genotypes:
    """Return the genotype, shape (choices,), with the most multiply-adds."""
    return _climb(space, 1)


def smallest(space: SearchSpace) -> Genotypes:
    """Return the genotype, shape (choices,), with the fewest multiply-adds."""
    return _climb(space, -1)


def _climb(space: SearchSpace, sign: int) -> Genotypes:
    """Set one choice after the other to its best value, until nothing changes.

    Multiply-adds grow with each choice whatever the others are, except where one decides what others mean (the block
    of a stage); a few sweeps settle those.
    """
    genotype = np.zeros(len(space.choices), dtype=np.uint8)
    for _ in range(_SWEEPS):
        before = genotype.copy()
        for i, choice in enumerate(space.choices):
            if not space.active(genotype[None])[0, i]:
                continue
            candidates = [_with(space, genotype, i, value) for value in range(len(choice.values))]
            genotype = max(candidates, key=lambda candidate: sign * space.decode(candidate).madds)
        if (genotype == before).all():
            break
    return genotype


def _with(space: SearchSpace, genotype: Genotypes, choice: int, value: int) -> Genotypes:
    changed = genotype[None].copy()
    changed[0, choice] = value
    canonical: Genotypes = space.canonical(changed)[0]
    return canonical
