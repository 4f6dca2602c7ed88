"""The settings of a unit as a binary tree of ever smaller sets of similar ones, with the extremes of values in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.objectives import Values

_LEAF = 4  # settings that are not divided any more


@dataclass(frozen=True)
class Clusters:
    """Node 0 holds all settings; `order` lists them so that a node's are `order[first:last]`; leaves have `left` -1."""

    order: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    left: NDArray[np.intp]
    right: NDArray[np.intp]

    def largest(self, values: Values) -> Values:
        """Return the largest in every node: (..., settings) in, (..., nodes) out."""
        return self._extreme(values, np.maximum)

    def smallest(self, values: Values) -> Values:
        """Return the smallest in every node: (..., settings) in, (..., nodes) out."""
        return self._extreme(values, np.minimum)

    def _extreme(self, values: Values, of: np.ufunc) -> Values:
        ordered = values[..., self.order]
        found = np.empty((*values.shape[:-1], len(self.first)))
        for node in range(len(self.first) - 1, -1, -1):  # children come after their parents
            if self.left[node] < 0:
                found[..., node] = of.reduce(ordered[..., self.first[node] : self.last[node]], axis=-1)
            else:
                found[..., node] = of(found[..., self.left[node]], found[..., self.right[node]])
        return found


def clusters(features: Values) -> Clusters:
    """Halve the settings, (n, features), along the feature that varies most, again and again."""
    order = np.arange(len(features))
    spans, children = [(0, len(features))], [(-1, -1)]
    node = 0
    while node < len(spans):
        first, last = spans[node]
        if last - first > _LEAF:
            part = order[first:last]
            axis = int(features[part].var(axis=0).argmax())
            values = features[part, axis]
            cut = values > (values.min() + values.max()) / 2
            if not cut.any():
                cut = np.arange(len(part)) >= len(part) // 2
            order[first:last] = np.concatenate([part[~cut], part[cut]])
            middle = first + int((~cut).sum())
            children[node] = (len(spans), len(spans) + 1)
            spans += [(first, middle), (middle, last)]
            children += [(-1, -1)] * 2
        node += 1
    firsts, lasts = np.array(spans).T
    lefts, rights = np.array(children).T
    return Clusters(order, firsts, lasts, lefts, rights)
