"""Networks predicted by a fit that has not seen them, alone or with their whole family, and the interval that asks for.

A network left out alone leaves its siblings in the fit (MobileNetV2 1.3 beside 1.4), which flatters the error. So every
family is left out as well, and the interval is set by both kinds of error together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.deviations import allot
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess
from latency_lut.calibrate.views import on_scale, predicted_ms, uniform_scale
from latency_lut.provenance import Scale

_Z_90 = 1.6448536269514722
_SHARES = np.round(np.arange(0.4, 1.51, 0.05), 2)  # never none: what nobody timed stays in doubt
_COVERED = 0.9
_LEAST_PCT = 1.0
# Families of networks by the start of their names, the longer start first.
_FAMILIES = (
    "mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2", "mnasnet", "proxylessnas", "mobilenetv3_large",
    "mobilenetv3_small", "mobilenetv2", "efficientnet", "fdmobilenet", "mobilenet_v4", "mobileone", "mobilenet",
)  # fmt: skip
_SAME = {"proxylessnas": "mnasnet", "fdmobilenet": "mobilenet"}  # the same blocks under another name

Fit = Callable[[Sequence[Observation]], tuple[OpProcess, Mapping[str, Scale]]]


class LeftOut(NamedTuple):
    """A network beside its prediction by a fit without it; `sd_pct` is what that fit says of its own doubt.

    `family` is what was left out with it, "" where it was left out alone; errors are in percent of the measurement.
    """

    label: str
    view: str
    family: str
    measured_ms: float
    error_pct: float
    sd_pct: float


@dataclass(frozen=True)
class Calibrated:
    """Terms of the interval: the share of the fit's own doubt that counts, and what comes on top, in percent."""

    doubt_share: float
    interval_pct: Mapping[str, float]  # by view


def family_of(observation: Observation) -> str:
    """Return the family of a network; in a grid of widths and resolutions on a scale of its own, those of one width."""
    start = next((name for name in _FAMILIES if observation.label.startswith(name)), observation.label)
    if observation.view:
        return f"{observation.view}: {observation.label.split('@')[0]}"
    return _SAME.get(start, start)


def left_out(
    observations: Sequence[Observation],
    fit: Fit,
    groups: Mapping[str, Iterable[int]],
    *,
    named: bool = True,
    as_table: bool = False,
) -> list[LeftOut]:
    """Return every grouped observation as the fit to all but its group predicts it; groups hold indices.

    Doubt is the process's own, or with `as_table` what a table makes of it, by sums over ops.
    """
    points = []
    for family, members in groups.items():
        gone = set(members)
        seen = [other for index, other in enumerate(observations) if index not in gone]
        process, views = fit(seen)
        doubt = allot(process, seen) if as_table else None
        for index in sorted(gone):
            point = observations[index]
            scale = views.get(point.view, uniform_scale(1.0))
            found_ms = float(predicted_ms([point], process.mean_ms, scale)[0])
            counts = on_scale(point, scale).counts
            sd_ms = doubt.sum_sd_ms(process, counts) if doubt else float(process.sum_sd_ms([counts])[0])
            error_pct = 100.0 * (found_ms / point.latency_ms - 1.0)
            name = family if named else ""
            points.append(LeftOut(point.label, point.view, name, point.latency_ms, error_pct, 100.0 * sd_ms / found_ms))
    return points


def families(observations: Sequence[Observation]) -> dict[str, list[int]]:
    """Return the indices of whole networks by family, on the views in which a family leaves others in the fit."""
    groups: dict[str, list[int]] = {}
    for index, observation in enumerate(observations):
        if observation.whole_network:
            groups.setdefault(family_of(observation), []).append(index)
    return {name: members for name, members in groups.items() if len(members) < len(observations)}


def calibrate_interval(points: Sequence[LeftOut]) -> Calibrated:
    """Return the terms with the least mean width that cover nine in ten of the points, view by view."""
    views = sorted({point.view for point in points})
    found = []
    for share in _SHARES:
        terms = {view: _on_top([point for point in points if point.view == view], float(share)) for view in views}
        widths = [half_width_pct(point, float(share), terms[point.view]) for point in points]
        found.append((float(np.mean(widths)), float(share), terms))
    _, share, terms = min(found, key=lambda item: item[0])
    return Calibrated(share, {view: round(value, 2) for view, value in terms.items()})


def half_width_pct(point: LeftOut, doubt_share: float, interval_pct: float) -> float:
    """Return half the width of a point's 90 % interval in percent of its prediction."""
    return float(np.hypot(_Z_90 * doubt_share * point.sd_pct, interval_pct))


def _on_top(points: Sequence[LeftOut], share: float) -> float:
    """Return the percentage that, beside the share of the fit's doubt, covers nine in ten of the points."""
    needed = _needed_pct(points, share)
    at = min(int(np.ceil(_COVERED * (len(points) + 1))), len(points)) - 1
    return max(float(needed[at]), _LEAST_PCT)


def _needed_pct(points: Sequence[LeftOut], share: float) -> NDArray[np.float64]:
    """Return the percentage that each point needs beside the share of the fit's doubt, sorted."""
    missing = np.sort([max(off_pct(point) ** 2 - (_Z_90 * share * point.sd_pct) ** 2, 0.0) for point in points])
    return np.asarray(np.sqrt(missing))


def off_pct(point: LeftOut) -> float:
    """Return how far the measurement lies from the prediction, in percent of the prediction."""
    predicted_ms = point.measured_ms * (1.0 + point.error_pct / 100.0)
    return abs(100.0 * (point.measured_ms / predicted_ms - 1.0))
