"""The rates of a device (`latency_lut.roofline`) from as few as five whole networks, with their doubt.

Nine rates from nine networks need to be told what is usual: every rate has a prior, log-normal around that of a nominal
device of the same class, whose overall speed is free. The fit is the most probable rates (least squares on logarithms
of times and of rates), the doubt is the curvature there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import t as student

from latency_lut.calibrate.left_out import LeftOut, families, off_pct
from latency_lut.calibrate.observations import Observation
from latency_lut.roofline import RATES, Roofline, work_of
from searchspace.ops import WEIGHTED_KINDS, Op, OpKind

_MODEL_ERROR = 0.05  # standard deviation of the logarithm of a network's time that the rates cannot explain
_DIGITS = 5
_Z_90 = 1.6448536269514722
_CHECKED_KINDS = (OpKind.HSWISH, OpKind.SIGMOID, OpKind.SCALE, OpKind.ADD, OpKind.CONCAT)
FEWEST = 4  # networks from which rates are worth fitting
ELEMENT_BYTES = {"int8": 1, "float16": 2, "float32": 4}


class Nominal(NamedTuple):
    """A usual device: rates in the order of `RATES`, what a network takes beside its ops in ms, doubt, and tile."""

    name: str
    rates: tuple[float, ...]
    network_ms: float
    sd: tuple[float, ...]  # of the logarithms of the rates and of `network_ms`
    channel_tile: int


_SD = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 1.0)
_HALF_SD = (0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 1.0)
NOMINAL = (
    Nominal("core", (8.0, 15.0, 0.04, 0.04, 0.004, 1.0, 1.0, 1.0), 0.05, _SD, 8),
    Nominal("gpu", (1.0, 6.0, 0.04, 0.1, 0.004, 0.1, 0.2, 0.3), 1.0, _HALF_SD, 4),
    Nominal("dsp", (0.3, 20.0, 0.02, 0.02, 0.003, 1.0, 1.0, 1.0), 0.4, _SD, 32),
    Nominal("npu", (0.15, 10.0, 0.01, 0.015, 0.002, 1.0, 1.0, 1.0), 0.4, _HALF_SD, 32),
)


@dataclass(frozen=True)
class RooflineFit:
    """The rates of a device and what a network takes beside its ops, in milliseconds."""

    roofline: Roofline
    network_ms: float

    def network_latency_ms(self, observation: Observation) -> float:
        """Return the time of a measured network or block."""
        ops_ms = sum(count * self.roofline.estimate(op).latency_ms for op, count in observation.counts.items())
        return ops_ms + (self.network_ms if observation.whole_network else 0.0)

    def doubt_ms(self, observation: Observation) -> float:
        """Return one standard deviation of that time as a table gives it: the ops' doubts added up."""
        return sum(count * self.roofline.estimate(op).shared_ms for op, count in observation.counts.items())


class _Problem:
    """Measured networks as arrays: what their ops ask of a device."""

    def __init__(self, observations: Sequence[Observation], element_bytes: int, channel_tile: int) -> None:
        self.measured = np.log([observation.latency_ms for observation in observations])
        self.whole = np.array([float(observation.whole_network) for observation in observations])
        column: dict[Op, int] = {}
        for observation in observations:
            for op in observation.counts:
                column.setdefault(op, len(column))
        self.counts = np.zeros((len(observations), len(column)))
        for row, observation in enumerate(observations):
            for op, count in observation.counts.items():
                self.counts[row, column[op]] = count
        self.work = np.array([work_of(op, element_bytes, channel_tile) for op in column])
        kinds = [op.kind for op in column]
        self.depthwise = np.array([kind is OpKind.DWCONV for kind in kinds])
        self.hswish = np.array([kind is OpKind.HSWISH for kind in kinds])
        self.weighted = np.array([kind in WEIGHTED_KINDS for kind in kinds])

    def log_ms(self, log_rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of every network's time, shape (networks,)."""
        conv, depthwise, activations, weights, launch, other_launch, hswish, other, network_ms = np.exp(log_rates)
        arithmetic = self.work[:, 0] * conv * np.where(self.depthwise, depthwise, 1.0)
        factor = np.where(self.weighted, 1.0, np.where(self.hswish, hswish, other))
        traffic = self.work[:, 1] * activations * factor + self.work[:, 2] * weights
        launches = launch * np.where(self.weighted, 1.0, other_launch)
        return np.asarray(np.log(self.counts @ (np.maximum(arithmetic, traffic) + launches) + network_ms * self.whole))


def fit_roofline(observations: Sequence[Observation], nominal: Nominal, element_bytes: int) -> RooflineFit:
    """Return the most probable rates given measured networks and what is usual for `nominal`'s class of device."""
    problem = _Problem(observations, element_bytes, nominal.channel_tile)
    mean = np.log([*nominal.rates, nominal.network_ms])
    speed = float(np.mean(problem.measured - problem.log_ms(mean)))
    mean = mean + speed * _SCALES_WITH_SPEED
    sd = np.array(nominal.sd)

    def residuals(log_rates: NDArray[np.float64]) -> NDArray[np.float64]:
        model = (problem.log_ms(log_rates) - problem.measured) / _MODEL_ERROR
        return np.concatenate([model, (log_rates - mean) / sd])

    found = least_squares(residuals, mean)
    doubt = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    rates = [_rounded(rate) for rate in np.exp(found.x)]
    return RooflineFit(
        Roofline(
            **dict(zip(RATES, rates, strict=False)),
            element_bytes=element_bytes,
            channel_tile=nominal.channel_tile,
            doubt={name: _rounded(value) for name, value in zip(RATES, doubt, strict=False)},
        ),
        _rounded(float(np.exp(found.x[-1]))),
    )


_SCALES_WITH_SPEED = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0])


def as_nominal(fit: RooflineFit, sd: float, name: str) -> Nominal:
    """Return a device that was fitted as what is usual for another one of its kind."""
    return Nominal(
        name, tuple(fit.roofline.rates().tolist()), fit.network_ms, (sd,) * (len(RATES) + 1), fit.roofline.channel_tile
    )


def scaled_doubt(fit: RooflineFit, share: float) -> RooflineFit:
    """Return the same rates with every doubt times `share`."""
    doubt = {name: _rounded(share * value) for name, value in fit.roofline.doubt.items()}
    return replace(fit, roofline=replace(fit.roofline, doubt=doubt))


def left_out_networks(
    observations: Sequence[Observation], nominal: Nominal, element_bytes: int, by_family: bool = True
) -> list[LeftOut]:
    """Return every network as the rates without it predict it, and (`by_family`) without its whole family."""
    groups = [("", [index]) for index in range(len(observations))]
    if by_family:
        groups += [(name, members) for name, members in families(observations).items() if len(members) > 1]
    points = []
    for name, members in groups:
        seen = [other for index, other in enumerate(observations) if index not in members]
        if len(seen) >= FEWEST - 1:
            fit = fit_roofline(seen, nominal, element_bytes)
            points += [left_out_point(observations[index], fit, name) for index in members]
    return points


def left_out_point(observation: Observation, fit: RooflineFit, family: str = "") -> LeftOut:
    """Return a network beside its prediction by a fit without it."""
    found_ms = fit.network_latency_ms(observation)
    error_pct = 100.0 * (found_ms / observation.latency_ms - 1.0)
    sd_pct = 100.0 * fit.doubt_ms(observation) / found_ms
    return LeftOut(observation.label, "", family, observation.latency_ms, error_pct, sd_pct)


def untimed_kinds(observations: Sequence[Observation]) -> tuple[OpKind, ...]:
    """Return the kinds of op of mobile networks that none of the measured ones held."""
    seen = {op.kind for observation in observations for op in observation.counts}
    return tuple(kind for kind in _CHECKED_KINDS if kind not in seen)


def alone(points: Sequence[LeftOut]) -> NDArray[np.float64]:
    """Return the errors, as shares, of the networks that were left out alone."""
    return np.array([point.error_pct / 100.0 for point in points if not point.family])


@dataclass(frozen=True)
class Choice:
    """The class of device that predicts networks left out best, with the rates and how it did."""

    nominal: Nominal
    fit: RooflineFit
    points: tuple[LeftOut, ...]
    interval_pct: float

    @property
    def left_out_errors(self) -> NDArray[np.float64]:
        """Errors, as shares, of the networks left out alone."""
        return alone(self.points)


def choose_roofline(
    observations: Sequence[Observation], element_bytes: int, nominals: Sequence[Nominal] = NOMINAL
) -> Choice:
    """Return the best of the classes by the error on networks left out in turn, with the interval they ask for."""
    tried = [(nominal, left_out_networks(observations, nominal, element_bytes, False)) for nominal in nominals]
    nominal, _ = min(tried, key=lambda item: float(np.mean(np.abs(alone(item[1])))))
    points = left_out_networks(observations, nominal, element_bytes)
    return chosen(nominal, fit_roofline(observations, nominal, element_bytes), points)


def chosen(nominal: Nominal, fit: RooflineFit, points: Sequence[LeftOut]) -> Choice:
    """Return a fit with its doubts and interval scaled to what the networks left out were off by."""
    share = doubt_share(points)
    return Choice(nominal, scaled_doubt(fit, share), tuple(points), _Z_90 * share * 100.0 * _MODEL_ERROR)


def doubt_share(points: Sequence[LeftOut]) -> float:
    """Return by what a fit's standard deviations are to be multiplied, from networks left out of it.

    With its own standard deviation for scale, the next network's error over the root mean square of n networks' is
    distributed as Student's t with n degrees of freedom; a normal interval so scaled covers nine in ten.
    """
    scaled = np.array([off_pct(point) / _sd_pct(point) for point in points])
    networks = len({point.label for point in points})
    return float(student.ppf(0.95, networks)) / _Z_90 * float(np.sqrt(np.mean(scaled**2)))


def half_width_of(point: LeftOut, share: float) -> float:
    """Return half the width of a point's 90 % interval in percent of its prediction, with doubts times `share`."""
    return _Z_90 * share * _sd_pct(point)


def nested_coverage(points: Sequence[LeftOut]) -> NDArray[np.bool_]:
    """Return for each point whether an interval lies around it that was scaled without its network, shape (points,)."""
    inside = []
    for point in points:
        share = doubt_share([other for other in points if other.label != point.label])
        inside.append(off_pct(point) <= half_width_of(point, share))
    return np.array(inside)


def _sd_pct(point: LeftOut) -> float:
    """Return a prediction's standard deviation in percent: of the rates, and of what rates cannot explain."""
    return float(np.hypot(point.sd_pct, 100.0 * _MODEL_ERROR))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
