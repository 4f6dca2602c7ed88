"""Kernel ridge regression through inducing points (Nystroem): smooth, exact about interactions, small to store.

The kernel is Matern 3/2 plus a linear one, on standardised features. Inducing points are made of the parts of
different training networks, so that a stored model holds no row of the table it was fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.predictor._layouts import Features, Layout, Rows

_LENGTH = 2.0  # of the Matern kernel, in root mean square of standardised features
_NOISE = 0.01  # variance of the noise as a share of that of the accuracies
_JITTER = 1e-8
_CHUNK = 256  # rows predicted at once: the kernel block stays in cache, four times 256 takes 1.7 times as long


@dataclass(frozen=True)
class KernelModel:
    """Inducing points (m, columns), centre and width of each feature, one weight for each point."""

    points: Rows
    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    weights: NDArray[np.float64]

    def predict(self, features: Features, point_features: Features) -> NDArray[np.float64]:
        """Return standardised accuracies, shape (n,), given the features of networks and of the inducing points."""
        points = (point_features - self.centre) / self.width
        scaled = (features - self.centre) / self.width
        smooth = [_matern(scaled[i : i + _CHUNK], points) @ self.weights for i in range(0, len(scaled), _CHUNK)]
        linear = scaled @ (points.T @ self.weights)
        return np.asarray(linear + np.concatenate([*smooth, np.empty(0)]))


def _matern(a: Features, b: Features) -> Features:
    """Return the Matern 3/2 kernel between scaled features, (n, f) and (m, f) in, (n, m) out.

    (1 + d) exp(-d) with d = sqrt(3) |a - b| / length, computed in place: it takes most of a search's time.
    """
    distance: Features = (-2 * a) @ b.T
    distance += (a * a).sum(1)[:, None]
    distance += (b * b).sum(1)
    np.maximum(distance, 0.0, out=distance)
    distance *= 3 / _LENGTH**2
    np.sqrt(distance, out=distance)
    decay = np.exp(-distance)
    distance += 1
    distance *= decay
    return distance


def fit_kernel(
    layout: Layout, rows: Rows, target: NDArray[np.float64], points: int, rng: np.random.Generator
) -> KernelModel:
    """Fit to standardised accuracies, shape (n,), with at most `points` inducing points."""
    from scipy.linalg import cho_factor, cho_solve

    inducing = _mixed(layout, rows, points, rng)
    features = layout.features(rows)
    centre, width = features.mean(0), features.std(0)
    width = np.where(width > 0, width, 1.0) * np.sqrt(features.shape[1])
    scaled, at = (features - centre) / width, (layout.features(inducing) - centre) / width
    cross = _matern(scaled, at) + scaled @ at.T
    system = cross.T @ cross + _NOISE * (_matern(at, at) + at @ at.T) + _JITTER * len(rows) * np.eye(len(at))
    weights = cho_solve(cho_factor(system), cross.T @ target)
    return KernelModel(inducing, centre, width, weights)


def _mixed(layout: Layout, rows: Rows, points: int, rng: np.random.Generator) -> Rows:
    """Cross pairs of rows stage by stage, at random; returns distinct rows that are none of those given."""
    stages = np.array([column.stage for column in layout.columns])
    first, second = rows[rng.integers(0, len(rows), (2, points))]
    for stage in dict.fromkeys(stages.tolist()):
        swapped = rng.random(points) < 0.5
        second[np.ix_(swapped, stages == stage)] = first[np.ix_(swapped, stages == stage)]
    known = {row.tobytes() for row in rows}
    return np.array([row for row in np.unique(second, axis=0) if row.tobytes() not in known])
