"""Boosted trees under a sum over units: each tree is at most a weighted mean of its maxima over all units but one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.objectives import Values


def tree_gains(trees: Sequence[Mapping[str, Any]], owners: Sequence[int], features: Sequence[Values]) -> list[Values]:
    """Return what each setting of each unit counts at most, (n,) by unit; the trees' sum is at most theirs.

    `trees` are those of `Booster.dump_model()`, `owners` gives the unit of each feature (-1: none), `features` the
    features of every unit's settings, (n, features).
    """
    gains = [np.zeros(len(one)) for one in features]
    for tree in trees:
        root = tree["tree_structure"]
        used = sorted(_owners(root, owners) - {-1})
        if not used:
            gains[0] += _largest(root)
            continue
        maxima = [np.broadcast_to(_projected(root, unit, owners, features[unit]), len(features[unit])) for unit in used]
        spreads = np.array([float(one.max() - one.min()) for one in maxima]) + 1e-12
        for unit, share, values in zip(used, spreads / spreads.sum(), maxima, strict=True):
            gains[unit] += share * values
    return gains


def _owners(node: Mapping[str, Any], owners: Sequence[int]) -> set[int]:
    if "leaf_value" in node:
        return set()
    below = _owners(node["left_child"], owners) | _owners(node["right_child"], owners)
    return below | {owners[node["split_feature"]]}


def _largest(node: Mapping[str, Any]) -> float:
    if "leaf_value" in node:
        return float(node["leaf_value"])
    return max(_largest(node["left_child"]), _largest(node["right_child"]))


def _projected(node: Mapping[str, Any], unit: int, owners: Sequence[int], features: Values) -> Values:
    """Return the largest value the tree can have for each setting of one unit, (n,) or ()."""
    if "leaf_value" in node:
        return np.asarray(float(node["leaf_value"]))
    left = _projected(node["left_child"], unit, owners, features)
    right = _projected(node["right_child"], unit, owners, features)
    if owners[node["split_feature"]] != unit:
        return np.maximum(left, right)
    return np.where(features[:, node["split_feature"]] <= node["threshold"], left, right)
