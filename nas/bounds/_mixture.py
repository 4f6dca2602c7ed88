"""The predictor's kernel as a mixture of Gaussians, which are products over units where a kernel is not.

Matern 3/2 of length 2, as a function of the squared distance s: (1 + r) exp(-r), r = sqrt(3 s) / 2. Weights by
non-negative least squares; every rate is twice the one before, so that one exponential and squarings give all.
"""

from __future__ import annotations

import numpy as np

from nas.objectives import Values

RATES = 0.02 * 2.0 ** np.arange(11)
WEIGHTS = np.array(
    [
        0.0016813922854421,
        0.0735520426019408,
        0.2689517447091853,
        0.3075933048998250,
        0.1951599910662692,
        0.0924229518242798,
        0.0383749912036067,
        0.0132573951560393,
        0.0070657762065463,
        0.0,
        0.0019101749155763,
    ]
)
ERROR = 7e-5  # at most, for s from 0 to FARTHEST: 3.5e-5 on a grid, the rest for what lies between its points
FARTHEST = 60.0


def mixture(squared: Values) -> Values:
    """Return the mixture at squared distances of any shape."""
    total = np.zeros_like(squared)
    for rate, weight in zip(RATES, WEIGHTS, strict=True):
        total += weight * np.exp(-rate * squared)
    return total


def powers(squared: Values) -> Values:
    """Return exp(-rate x s) for every rate: (...) in, (rates, ...) out."""
    return np.exp(-RATES.reshape(-1, *[1] * squared.ndim) * squared)
