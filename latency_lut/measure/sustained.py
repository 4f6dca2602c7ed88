"""How a phone slows down: one network run without end, in stretches of a few seconds, each with its temperature."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latency_lut.measure.backend import Conditions
from latency_lut.measure.litert import Timing

STRETCH_S = 5.0
_WINDOW_S = 60.0


class Enduring(Protocol):
    """A device that runs a model for as long as asked."""

    def stretch(self, model: bytes, seconds: float) -> Timing:
        """Run a model for that long."""

    def conditions(self) -> Conditions:
        """Read the temperature."""


@dataclass(frozen=True)
class Stretch:
    """Runs in a row: their begin and end in seconds from the start, their mean time, and the temperature after them."""

    start_s: float
    end_s: float
    latency_ms: float
    runs: int
    temperature_c: float | None


def stretches(
    device: Enduring, model: bytes, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[Stretch]:
    """Yield stretches until `seconds` have passed; raises what the device raises."""
    begin = clock()
    start_s = 0.0
    while start_s < seconds:
        timing = device.stretch(model, min(STRETCH_S, max(seconds - start_s, 0.1)))
        temperature_c = device.conditions().temperature_c
        end_s = clock() - begin
        yield Stretch(start_s, end_s, timing.median_ms, timing.runs, temperature_c)
        start_s = end_s


def figures(found: Sequence[Stretch]) -> dict[str, Any]:
    """Return p50 and p90 of the stretches' times in ms, of all and of the first and last minute, and temperatures.

    Of a run below two minutes the first and last half are compared; `window_s` says how long these parts are. A
    percentile weighs each stretch by its runs. Without stretches there is only their number.
    """
    if not found:
        return {"stretches": 0}
    total_s = found[-1].end_s
    window_s = min(_WINDOW_S, total_s / 2)
    first = [stretch for stretch in found if stretch.start_s < window_s]
    last = [stretch for stretch in found if stretch.end_s > total_s - window_s]
    parts = {"": list(found), "first_": first, "last_": last}
    times = {f"{name}p{share}_ms": _percentile(part, share) for name, part in parts.items() for share in (50, 90)}
    temperatures = [stretch.temperature_c for stretch in found if stretch.temperature_c is not None]
    return {
        "stretches": len(found),
        "runs": sum(stretch.runs for stretch in found),
        "seconds": round(total_s, 1),
        "window_s": round(window_s, 1),
        **times,
        "slowdown": times["last_p50_ms"] / times["first_p50_ms"],
        "first_temperature_c": temperatures[0] if temperatures else None,
        "last_temperature_c": temperatures[-1] if temperatures else None,
        "highest_temperature_c": max(temperatures, default=None),
    }


def _percentile(part: Sequence[Stretch], share: int) -> float:
    times: NDArray[np.float64] = np.array([stretch.latency_ms for stretch in part])
    weights = np.array([stretch.runs for stretch in part])
    return float(np.percentile(times, share, method="inverted_cdf", weights=weights))
