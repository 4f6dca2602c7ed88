"""Smaller forms of one network: its choices step towards the fastest network of the space until a latency is kept.

What a trained network computes survives many small steps in depth and expansion, and few in the width of a stage, which
every block of it shares: around a fine-tuned MobileNetV2 on CIFAR-10 at 96 px, 12 networks drawn so at three quarters
of its latency, with statistics of their own and no training, were right on 38 % of 128 images on average; 12 of which a
share of the choices was drawn anew on 14 % of 200.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.objectives._results import Values
from searchspace.choices import Genotypes
from searchspace.protocols import Space

WIDTH_SHARE = 0.1  # how likely a width steps, beside any other choice
MAX_STEPS = 1000


def stepped_down(
    space: Space,
    genotypes: Genotypes,
    fastest: Genotypes,
    limits_ms: Values,
    high_ms: Callable[[Genotypes], Values],
    rng: np.random.Generator,
) -> Genotypes:
    """Return genotypes (n, choices) whose upper ends are within `limits_ms` (n,), or that are the fastest network.

    Each row has preferences of its own, drawn once, for which choice steps next.
    """
    found = np.array(genotypes)
    widths = np.array([choice.path.endswith("/width") for choice in space.choices])
    liking = rng.random(found.shape) ** 2 * np.where(widths, WIDTH_SHARE, 1.0) + 1e-6
    for _ in range(MAX_STEPS):
        over = np.flatnonzero(high_ms(found) > limits_ms)
        if not len(over):
            break
        rows = found[over].astype(np.int64)
        step = np.sign(fastest.astype(np.int64) - rows) * space.active(found[over])
        stuck = ~step.any(axis=1)
        rows[stuck] = fastest
        chosen = _drawn(np.where(step != 0, liking[over], 0.0), rng)
        rows[np.arange(len(over)), chosen] += step[np.arange(len(over)), chosen]
        found[over] = space.canonical(rows.astype(found.dtype))
        if stuck.all():
            break
    return found


def _drawn(weights: Values, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a column for each row of weights (n, choices), the first where all are 0."""
    sums = weights.cumsum(axis=1)
    drawn = (sums < rng.random((len(weights), 1)) * sums[:, -1:]).sum(axis=1)
    found: NDArray[np.intp] = np.minimum(drawn, weights.shape[1] - 1)
    return found
