"""The time of one op with its uncertainty: what a table holds and what it answers."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """Time of one op in milliseconds.

    The entry's standard deviation has two parts. `spread_ms` is the op's own: independent of other ops, it averages out
    over a network. `shared_ms` is what the op is off by together with the other ops of a network (their kind was never
    timed, say): it adds up. `runs` are the timed runs behind the entry, 0 where they are not known or there are none.
    """

    latency_ms: float
    spread_ms: float = 0.0
    runs: int = 0
    extrapolated: bool = False
    shared_ms: float = 0.0
