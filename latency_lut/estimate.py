"""The time of one op with its uncertainty: what a table holds and what it answers."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """Time of one op in milliseconds.

    `spread_ms` is one standard deviation; `runs` the timed runs behind it, 0 where they are not known or
    there are none.
    """

    latency_ms: float
    spread_ms: float = 0.0
    runs: int = 0
    extrapolated: bool = False
