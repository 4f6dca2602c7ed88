"""Results of a search as arrays: networks by row, metrics by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.choices import Genotypes

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """Proposed networks: genotypes (n, choices); top-1 in percent, latency and its upper end in ms, each (n,).

    Top-1 is NaN where a network was priced over the ceiling and so was not evaluated. With several limits the latency
    is on the first one's scale; see `JointCost`.
    """

    genotypes: Genotypes
    top1: Values
    latency_ms: Values
    high_ms: Values

    def __len__(self) -> int:
        return len(self.genotypes)

    @property
    def evaluated(self) -> Results:
        """Those of the networks that were evaluated."""
        known = ~np.isnan(self.top1)
        if known.all():
            return self
        return self.rows(known)

    def rows(self, chosen: NDArray[Any]) -> Results:
        """Return some of the networks, chosen by indices or by a mask."""
        return Results(self.genotypes[chosen], self.top1[chosen], self.latency_ms[chosen], self.high_ms[chosen])


def joined(history: Sequence[Results]) -> Results:
    """Return several batches of results as one."""
    return Results(
        np.concatenate([results.genotypes for results in history]),
        np.concatenate([results.top1 for results in history]),
        np.concatenate([results.latency_ms for results in history]),
        np.concatenate([results.high_ms for results in history]),
    )
