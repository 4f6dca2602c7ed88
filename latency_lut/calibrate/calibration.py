"""A table for a phone that its user timed a few networks or blocks on: what `nas lut calibrate` does.

With a base table the phone is taken to be like another one (`adapt`), or a few rates are fitted to its networks
(`roofline_fit`): whichever predicts networks left out better. Without, times of ops are inferred from first
principles, which needs blocks or a dozen networks of different kinds (`inference`).
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.adapt import nearest_base
from latency_lut.calibrate.assemble import OpDoubt, build_table, interval_pct, mean_abs_pct
from latency_lut.calibrate.costs import nominal_costs
from latency_lut.calibrate.deviations import allot
from latency_lut.calibrate.inference import infer
from latency_lut.calibrate.observations import Observation, observe
from latency_lut.calibrate.roofline_fit import (
    ELEMENT_BYTES,
    FEWEST,
    NOMINAL,
    Choice,
    RooflineFit,
    as_nominal,
    choose_roofline,
    untimed_kinds,
)
from latency_lut.devices import load_shipped
from latency_lut.networkfiles import read_samples
from latency_lut.provenance import Method, Provenance, Scale
from latency_lut.samples import Target
from latency_lut.table import LatencyTable
from latency_lut.units import require_milliseconds, speed_factor
from searchspace.support.errors import UserError

# Standard deviation of what sums of ops leave unexplained.
_NETWORK_ERROR, _BLOCK_ERROR, _BLOCK_LEAST_MS = 0.02, 0.01, 0.005
_FEWEST = 2
_FEWEST_WITHOUT_BASE = 8
_INTERPOLATION_PCT = 4.0
_DOUBT_SHARE = 1.0
_KNOWN_SD = 0.3  # of the logarithm of a rate around that of another phone of its kind
ONE_FACTOR, ADAPTED, RATES_OF = "one factor", "adapted structure", "rates"
FIRST_PRINCIPLES = "first principles"


@dataclass(frozen=True)
class Calibration:
    """A table, the error on measurements left out, and the same for plain scaling of the base (None without base)."""

    table: LatencyTable
    base: str | None
    left_out_error_pct: float
    plain_scaling_error_pct: float | None
    skipped: Counter[str]
    factor: float  # how many times as long as on the base, or on Pixel 1 without base, the networks take
    tried: Mapping[str, float]  # mean error in percent on measurements left out, by way of making a table
    choice: str  # the way of `tried` that the table was made by


def calibrate(
    target: Target, files: Iterable[Path], bases: Sequence[LatencyTable], any_speed: bool = False
) -> Calibration:
    """Infer the table of a phone from files of measured blocks and networks.

    Of several `bases` the one that predicts the phone best is adapted; bases of rates are what is usual for a fit of
    rates, which is taken where it predicts whole networks better. With no base, first principles are adapted. Rows
    without a device column are taken to be the phone's. Raises UserError for unreadable files, too few rows and, unless
    `any_speed`, for times that cannot be milliseconds of any known phone.
    """
    files = list(files)
    observations, skipped = _observations(replace(target, unlabelled=True), files)
    needed = _FEWEST if bases else _FEWEST_WITHOUT_BASE
    if len(observations) < needed:
        reasons = "; ".join(f"{count} {reason}" for reason, count in skipped.most_common()) or "none"
        raise UserError(
            f"{len(observations)} measurements of {target.device} in {target.precision} found, at least {needed} are "
            f"needed {'to adapt a table' if bases else 'without a base table'}. Skipped rows: {reasons}"
        )
    times = [(list(Counter(observation.counts).elements()), observation.latency_ms) for observation in observations]
    if not any_speed:
        require_milliseconds(times, ", ".join(file.name for file in files))
    tables = [base for base in bases if base.provenance.roofline is None]
    rates = _roofline_choice(target, bases, observations)
    tried: dict[str, float] = {} if rates is None else {RATES_OF: mean_abs_pct(rates.left_out_errors)}
    if bases and not tables and rates is None:
        raise UserError(f"{len(observations)} measurements: at least {FEWEST} whole networks are needed to fit rates")
    if rates is not None and not tables:
        return _by_rates(target, files, observations, skipped, rates, tried)
    if tables:
        base, adaptation = nearest_base(tables, observations)
        tried[ONE_FACTOR] = mean_abs_pct(adaptation.plain_left_out_errors)
        if not np.array_equal(adaptation.left_out_errors, adaptation.plain_left_out_errors):
            tried[ADAPTED] = mean_abs_pct(adaptation.left_out_errors)
        if rates is not None and min(tried, key=lambda way: tried[way]) == RATES_OF:
            return _by_rates(target, files, observations, skipped, rates, tried)
        process, errors, plain = adaptation.process, adaptation.left_out_errors, adaptation.plain_left_out_errors
        doubt: OpDoubt = adaptation.doubt
        half_width_pct = adaptation.interval_pct
        factor = speed_factor(times, base)
        structure = base.path.stem if base.path else base.provenance.device
    else:
        inference = infer(observations, nominal_costs(phone_speed(observations)), pull=0.1)
        process, errors, plain, structure = inference.process, inference.left_out_errors, None, None
        doubt = allot(process, observations).scaled(_DOUBT_SHARE)
        half_width_pct = interval_pct(errors)
        factor = speed_factor(times, load_shipped("pixel1"))
    provenance = _provenance(target, files, len(observations), errors, structure, half_width_pct)
    seen = {op for observation in observations for op in observation.counts}
    return Calibration(
        table=build_table(process, seen, provenance, doubt),
        base=structure,
        left_out_error_pct=mean_abs_pct(errors),
        plain_scaling_error_pct=None if plain is None else mean_abs_pct(plain),
        skipped=skipped,
        factor=factor,
        tried=tried or {FIRST_PRINCIPLES: mean_abs_pct(errors)},
        choice=min((way for way in tried if way != RATES_OF), key=lambda way: tried[way], default=FIRST_PRINCIPLES),
    )


def _roofline_choice(
    target: Target, bases: Sequence[LatencyTable], observations: Sequence[Observation]
) -> Choice | None:
    """Return the best fit of rates, None without bases, with too few networks or where blocks were timed as well."""
    if not bases or len(observations) < FEWEST or not all(observation.whole_network for observation in observations):
        return None
    known = [
        as_nominal(
            RooflineFit(made.roofline, made.scale.per_network_ms),
            _KNOWN_SD,
            base.path.stem if base.path else made.device,
        )
        for base in bases
        if (made := base.provenance).roofline is not None and made.precision is target.precision
    ]
    usual = NOMINAL if any(base.provenance.roofline is None for base in bases) or not known else ()
    return choose_roofline(observations, ELEMENT_BYTES[target.precision], (*usual, *known))


def _by_rates(
    target: Target,
    files: Sequence[Path],
    observations: Sequence[Observation],
    skipped: Counter[str],
    rates: Choice,
    tried: Mapping[str, float],
) -> Calibration:
    errors = rates.left_out_errors
    made = replace(
        _provenance(target, files, len(observations), errors, None, round(rates.interval_pct, 2)),
        roofline=rates.fit.roofline,
        scale=Scale(per_network_ms=rates.fit.network_ms),
        interpolation_error_pct=0.0,
        notes=f"rates fitted to whole networks around those of a usual {rates.nominal.name}",
        untimed=untimed_kinds(observations),
    )
    times = [(list(Counter(point.counts).elements()), point.latency_ms) for point in observations]
    return Calibration(
        table=LatencyTable(made, {}),
        base=None,
        left_out_error_pct=mean_abs_pct(errors),
        plain_scaling_error_pct=tried.get(ONE_FACTOR),
        skipped=skipped,
        factor=speed_factor(times, load_shipped("pixel1")),
        tried=tried,
        choice=RATES_OF,
    )


def phone_speed(observations: Sequence[Observation]) -> float:
    """Return how many times as fast as the nominal core of first principles a phone is."""
    nominal = nominal_costs()
    ratios = []
    for observation in observations:
        counts = np.array(list(observation.counts.values()))
        ratios.append(float(nominal.latency_ms(list(observation.counts)) @ counts) / observation.latency_ms)
    return float(np.median(ratios))


def _observations(target: Target, files: Iterable[Path]) -> tuple[list[Observation], Counter[str]]:
    """Return what the files say, all on one scale: one user timed one phone."""
    observations: list[Observation] = []
    skipped: Counter[str] = Counter()
    for file in files:
        reading = read_samples(file, target)
        skipped += reading.skipped
        for sample in reading:
            error = (_NETWORK_ERROR, 0.0) if sample.whole_network else (_BLOCK_ERROR, _BLOCK_LEAST_MS)
            observations.append(observe(replace(sample, view=""), *error))
    return observations, skipped


def _provenance(
    target: Target,
    files: Iterable[Path],
    points: int,
    errors: NDArray[np.float64],
    base: str | None,
    half_width_pct: float,
) -> Provenance:
    return Provenance(
        device=target.device,
        soc="unknown",
        runtime="TFLite",
        runtime_build="unknown",
        threads=1,
        cores="one big core",
        precision=target.precision,
        resolution=224,
        runs=0,
        date=datetime.date.today().isoformat(),
        method=Method.CALIBRATED,
        sources=tuple(file.name for file in files),
        points_used=points,
        left_out_error_pct=mean_abs_pct(errors),
        interpolation_error_pct=_INTERPOLATION_PCT,
        interval_pct=half_width_pct,
        notes=f"structure of the {base} table" if base else "from first principles",
    )
