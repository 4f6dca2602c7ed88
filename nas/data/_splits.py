"""Drawing the train, search and test parts so that no image is ever in two of them.

Every image gets a number in [0, 1) from a hash of its name and a salt; the part follows from that number
alone, so adding images never moves an old one. The test part, where a source has none of its own, is drawn
with a salt that no seed changes: an image tested under one seed is never trained on under another.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from nas.data._items import Items, Parts
from searchspace.support.errors import UserError

TEST_SHARE = 0.2
SEARCH_SHARE = 0.1

Indices = NDArray[np.int64]


def draw(items: Items, salt: str) -> NDArray[np.float64]:
    """Return one number in [0, 1) per item, a function of its name and the salt only."""
    digests = (
        hashlib.blake2b(f"{salt}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()
        for name in items.names
    )
    return np.fromiter((int.from_bytes(digest, "big") / 2**64 for digest in digests), np.float64, len(items))


def pool_and_test(parts: Parts) -> tuple[Indices, Indices | None]:
    """Return indices into `parts.train`: those to train and search on, and those kept for testing.

    The second is None where the data has a test part of its own.
    """
    if parts.test is not None:
        return np.arange(len(parts.train)), None
    numbers = draw(parts.train, "test")
    return np.flatnonzero(numbers >= TEST_SHARE), np.flatnonzero(numbers < TEST_SHARE)


def take_subset(items: Items, indices: Indices, subset: int | None) -> Indices:
    """Return `subset` of the indices, in order, the same ones for every seed; all of them where there are
    fewer."""
    if subset is None or subset >= len(indices):
        return indices
    if subset < 2:
        raise UserError(f"a subset of {subset} images cannot be split; give at least 2")
    order = np.argsort(draw(items, "subset")[indices], kind="stable")
    return np.sort(indices[order[:subset]])


def train_and_search(items: Items, pool: Indices, seed: int) -> tuple[Indices, Indices]:
    """Split the pool into training and search indices by a hash of each item's name and the seed."""
    numbers = draw(items, f"search {seed}")[pool]
    searched = numbers < SEARCH_SHARE
    if not searched.any() or searched.all():
        # Tiny sets: the smallest number alone is searched on, so that neither part is empty.
        searched = numbers == numbers.min()
    return pool[~searched], pool[searched]
