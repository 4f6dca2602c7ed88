"""Whether times that somebody wrote down can be the milliseconds that they are taken for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from latency_lut.devices import load_shipped
from latency_lut.predict import predict_block
from latency_lut.table import LatencyTable
from searchspace.ops import Op
from searchspace.support.errors import UserError

FURTHEST = 30.0  # no device that ran these networks is known to be this many times as fast or slow as both of these
_SLOW, _FAST = "pixel1", "galaxy_s10"


def speed_factor(times: Iterable[tuple[Sequence[Op], float]], table: LatencyTable) -> float:
    """Return how many times as long as `table` predicts the measured sums of ops take: the median of the ratios."""
    ratios = [
        latency_ms / max(predict_block(table, ops, allow_extrapolation=True).latency_ms, 1e-9)
        for ops, latency_ms in times
    ]
    return float(np.median(ratios))


def require_milliseconds(times: Iterable[tuple[Sequence[Op], float]], what: str) -> None:
    """Raise UserError, asking for the unit, where the times are far from what any known phone takes."""
    times = list(times)
    fast, slow = speed_factor(times, load_shipped(_FAST)), speed_factor(times, load_shipped(_SLOW))
    if fast < 1 / FURTHEST:
        raise UserError(_question(what, f"{1 / fast:,.0f} times as fast as {_FAST}", "are these seconds?"))
    if slow > FURTHEST:
        raise UserError(_question(what, f"{slow:,.0f} times as slow as {_SLOW}", "are these microseconds?"))


def _question(what: str, distance: str, unit: str) -> str:
    return (
        f"{what}: read as milliseconds, the networks run {distance}; {unit} "
        "Write the times in milliseconds, or insist with --any-speed"
    )
