"""The settings of a unit as a binary tree of ever smaller sets of similar ones, with the extremes of values in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
        leaves = np.flatnonzero(self.left < 0)
        leaves = leaves[self.first[leaves].argsort()]  # together they are all settings, so each ends where one begins
        found[..., leaves] = of.reduceat(ordered, self.first[leaves], axis=-1)
        for nodes in reversed(self.levels):
            found[..., nodes] = of(found[..., self.left[nodes]], found[..., self.right[nodes]])
        return found

    @cached_property
    def levels(self) -> list[NDArray[np.intp]]:
        """The nodes that have children, by their distance from the root."""
        found, nodes = [], np.array([0])
        while len(nodes := nodes[self.left[nodes] >= 0]):
            found.append(nodes)
            nodes = np.concatenate([self.left[nodes], self.right[nodes]])
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
