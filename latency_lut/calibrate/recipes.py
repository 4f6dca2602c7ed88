"""How every shipped table is made from the published measurements, so that anyone can make it again.

`nas lut calibrate --recipe pixel1 --data FOLDER --out FILE` writes the shipped file bit for bit; FOLDER is the
`latency` folder of published measurements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.adapt import adapt, blended
from latency_lut.calibrate.assemble import build_table, interval_pct, mean_abs_pct
from latency_lut.calibrate.calibration import phone_speed
from latency_lut.calibrate.costs import nominal_costs
from latency_lut.calibrate.deviations import allot
from latency_lut.calibrate.inference import PULL, Inference, fitted, infer
from latency_lut.calibrate.left_out import LeftOut, calibrate_interval, families, left_out
from latency_lut.calibrate.observations import Observation, observe
from latency_lut.calibrate.process import OpProcess
from latency_lut.calibrate.published import hswish_differences, published_networks, tunas_differences
from latency_lut.calibrate.roofline_recipes import DATE as _ROOFLINE_DATE
from latency_lut.calibrate.roofline_recipes import ROOFLINE_FILES, ROOFLINE_RECIPES, table_name
from latency_lut.calibrate.views import OpTimes, fit_distant_scale, predicted_ms
from latency_lut.devices import load_shipped, shipped_names
from latency_lut.networkfiles import read_samples
from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.samples import Sample, Target
from latency_lut.table import LatencyTable
from searchspace.ops import Op
from searchspace.support.errors import UserError

_DATE = "2026-11-22"
_TUNAS = "TuNAS cost model of Pixel 1 (google-research/google-research, Apache-2.0), blocks decoded"
_PAPER = "MobileNetV3, arXiv 1905.02244, tables 3 to 5"
_SLIM = "tensorflow/models research/slim/nets/mobilenet README"
_MNASNET = "tensorflow/tpu models/official/mnasnet README"
_BENCHMARK = "qed-usc/mobile-ml-benchmark (MIT), pytorchcv networks end to end"
_INTERPOLATION_PCT = 4.0

# First guesses of how much slower than the paper's final table 3 each source timed Pixel 1.
_PIXEL1_VIEWS = {"tunas": 1.15, "slim_v2": 1.12, "mnasnet_readme": 1.1}
# Standard deviation of what sums of ops leave unexplained, by source.
_PAPER_ERROR, _GRID_ERROR, _BENCHMARK_ERROR, _ENDPOINT_ERROR = 0.015, 0.01, 0.01, 0.02
_TUNAS_ERROR, _TUNAS_LEAST_MS = 0.002, 0.005
# Networks of seven families, dense ones included, set the rates themselves.
_BENCHMARK_PULL = 0.03
# Sources too far from the paper's runtime to tell times of ops; the table only learns how to be compared with them.
_VIEW_ONLY = {
    "single_path": ("singlepath_pixel1_blocks.csv", "Single-Path NAS, Pixel 1"),
    "proxylessnas": ("proxylessnas_pixel1.yaml", "ProxylessNAS, Pixel 1"),
    "nn_meter": ("nnmeter_mbconv_blocks.csv", "nn-Meter's inverted residual blocks"),
}
_VIEW_ERROR = 0.04

_ENDPOINTS, _TUNAS_FILE = "published_endpoints.csv", "tunas_pixel1_residual_blocks.csv"
_END_TO_END = "tflite_end_to_end_pixel4_s10.csv"
_FILES: Mapping[str, frozenset[str]] = {
    "pixel1": frozenset((_ENDPOINTS, _TUNAS_FILE)),
    **dict.fromkeys(("pixel2", "pixel3", "pixel1_int8", "pixel2_int8", "pixel3_int8"), frozenset((_ENDPOINTS,))),
    **dict.fromkeys(("pixel4", "galaxy_s10", "pixel4_int8", "galaxy_s10_int8"), frozenset((_END_TO_END,))),
    **ROOFLINE_FILES,
}

_SOCS = {
    "pixel1": "Snapdragon 821",
    "pixel2": "Snapdragon 835",
    "pixel3": "Snapdragon 845",
    "pixel4": "Snapdragon 855",
    "galaxy_s10": "unknown (Exynos 9820 or Snapdragon 855, by region)",
}


def made_from(table: LatencyTable) -> frozenset[str]:
    """Return the names of the files of measurements that a table was made from, as far as they are known."""
    made = table.provenance
    name = table_name(made.device, made.precision)
    ours = name in shipped_names() and made.date in (_DATE, _ROOFLINE_DATE)
    published = _FILES.get(name, frozenset()) if ours else frozenset()
    return published | {source for source in made.sources if source.endswith((".csv", ".json", ".yaml", ".yml"))}


def make_table(name: str, data: Path) -> LatencyTable:
    """Make the shipped table of that name from the folder of published latencies; raises UserError for another name."""
    if name not in _RECIPES:
        raise UserError(f"no recipe makes {name!r}; recipes are {', '.join(sorted(_RECIPES))}")
    return _RECIPES[name](data)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the tables that have a recipe."""
    return tuple(sorted(_RECIPES))


def pixel1(data: Path) -> LatencyTable:
    """Infer Pixel 1 from TuNAS's blocks and whole networks on three scales, the paper's being the table's own."""
    target = Target("pixel1", Precision.FLOAT32)
    inference, blocks = pixel1_inference(data)
    errors = {view: inference.errors_of(view, True) for view in inference.views}
    errors["tunas"] = inference.left_out_errors[:blocks]
    interval = calibrate_interval(pixel1_left_out(inference))
    interval_of = {**interval.interval_pct, "tunas": interval_pct(errors["tunas"])}
    views = {
        view: replace(inference.views[view], interval_pct=interval_of[view], source=source)
        for view, source in (("tunas", _TUNAS), ("slim_v2", _SLIM), ("mnasnet_readme", _MNASNET))
    }
    within_5_pct = 100 * float(np.mean(np.abs(errors["tunas"]) <= 0.05))
    notes = [
        f"left-out blocks on TuNAS's scale: mean {mean_abs_pct(errors['tunas'])} %, {within_5_pct:.1f} % within 5 %"
    ]
    notes += [f"left-out networks on the scale of {v}: mean {mean_abs_pct(errors[v])} %" for v in views if v != "tunas"]
    provenance = replace(
        _provenance(
            target, (_PAPER, _SLIM, _MNASNET, _TUNAS), len(inference.observations), errors[""], interval_of[""]
        ),
        views=views | _views_only(data, target, inference.process.mean_ms),
        notes="; ".join(notes),
    )
    return _built(inference, provenance, interval.doubt_share)


def _built(inference: Inference, provenance: Provenance, doubt_share: float) -> LatencyTable:
    doubt = allot(inference.process, inference.observations).scaled(doubt_share)
    return build_table(inference.process, _seen(inference.observations), provenance, doubt)


def pixel1_left_out(inference: Inference, as_table: bool = False) -> list[LeftOut]:
    """Return the whole networks of Pixel 1 left out of the fit alone, in closed form, and with their families."""
    observations = inference.observations
    residual_ms, sd_ms = inference.process.left_out_ms()
    points = [
        LeftOut(
            point.label, point.view, "", point.latency_ms, -100.0 * residual / point.latency_ms,
            100.0 * math.sqrt(max(sd**2 - point.error_ms**2, 0.0)) / point.latency_ms,
        )
        for point, residual, sd in zip(observations, residual_ms.tolist(), sd_ms.tolist(), strict=True)
        if point.whole_network and point.view != "tunas"
    ]  # fmt: skip
    groups = {name: members for name, members in families(observations).items() if not name.startswith("tunas")}
    return points + left_out(
        observations,
        pixel1_fit,
        groups,
        as_table=as_table,
    )


def end_to_end_left_out(inference: Inference, as_table: bool = False) -> list[LeftOut]:
    """Return the networks of a phone that were timed end to end, left out of the fit alone and with their families."""
    observations = inference.observations
    start = nominal_costs(phone_speed(observations))

    def fit(rest: Sequence[Observation]) -> tuple[OpProcess, dict[str, Scale]]:
        return fitted(rest, start, {}, _BENCHMARK_PULL)

    alone = {point.label: [index] for index, point in enumerate(observations)}
    by_family = left_out(observations, fit, families(observations), as_table=as_table)
    return left_out(observations, fit, alone, named=False, as_table=as_table) + by_family


def pixel1_fit(observations: Sequence[Observation]) -> tuple[OpProcess, dict[str, Scale]]:
    """Return the process and the sources' scales that observations of Pixel 1 give."""
    return fitted(observations, nominal_costs(), _PIXEL1_VIEWS, PULL)


def pixel1_inference(data: Path) -> tuple[Inference, int]:
    """Return the inference behind the Pixel 1 table, and how many of its first observations are TuNAS's blocks."""
    blocks = _tunas_blocks(data)
    return infer([*blocks, *_other_pixel1_observations(data)], nominal_costs(), _PIXEL1_VIEWS), len(blocks)


def _tunas_blocks(data: Path) -> list[Observation]:
    samples = read_samples(data / _TUNAS_FILE, Target("pixel1", Precision.FLOAT32))
    return [observe(sample, _TUNAS_ERROR, _TUNAS_LEAST_MS) for sample in samples]


def _other_pixel1_observations(data: Path) -> list[Observation]:
    """Return what else the table learns from: differences of TuNAS's blocks and of h-swish, and whole networks."""
    target = Target("pixel1", Precision.FLOAT32)
    networks = _unique([*published_networks(target), *read_samples(data / _ENDPOINTS, target)])
    observed = [observe(sample, _GRID_ERROR if sample.view else _PAPER_ERROR) for sample in networks]
    return [*tunas_differences(), *hswish_differences(), *observed]


def _end_to_end(device: str, precision: Precision) -> Callable[[Path], LatencyTable]:
    """Return the recipe of a phone whose networks were timed end to end."""

    def recipe(data: Path) -> LatencyTable:
        target = Target(device, precision)
        inference = end_to_end_inference(data, target)
        interval = calibrate_interval(end_to_end_left_out(inference))
        errors, points = inference.left_out_errors, len(inference.observations)
        provenance = _provenance(target, (_BENCHMARK,), points, errors, interval.interval_pct[""])
        views = _views_only(data, target, inference.process.mean_ms)
        return _built(inference, replace(provenance, views=views), interval.doubt_share)

    return recipe


def end_to_end_inference(data: Path, target: Target) -> Inference:
    """Return the inference behind the table of a phone whose networks were timed end to end."""
    samples = read_samples(data / _END_TO_END, target)
    observations = [observe(sample, _BENCHMARK_ERROR) for sample in samples]
    return infer(observations, nominal_costs(phone_speed(observations)), pull=_BENCHMARK_PULL)


def _adapted(device: str, precision: Precision) -> Callable[[Path], LatencyTable]:
    """Return the recipe of a Pixel that is known by a few whole networks: another table's structure, its endpoints.

    The structure is Pixel 1's in float32. For int8 it is half-way between that and Pixel 4's in int8: with either
    alone the narrow MobileNetV2 comes out 12 % too fast or 24 % too slow on all three phones.
    """

    def recipe(data: Path) -> LatencyTable:
        target = Target(device, precision)
        base, observations = adapted_start(data, target)
        structure = "the pixel1 table" if precision is Precision.FLOAT32 else "the pixel1 and pixel4_int8 tables"
        adaptation = adapt(base, observations)
        provenance = replace(
            _provenance(
                target, (_PAPER, _SLIM), len(observations), adaptation.left_out_errors, adaptation.interval_pct
            ),
            notes=f"structure of {structure}; plain scaling of it errs by "
            f"{mean_abs_pct(adaptation.plain_left_out_errors)} % on networks left out",
        )
        return build_table(adaptation.process, _seen(observations), provenance, adaptation.doubt)

    return recipe


def adapted_start(data: Path, target: Target) -> tuple[LatencyTable, list[Observation]]:
    """Return the table whose structure a Pixel takes that is known by whole networks, and those networks."""
    samples = _unique([*published_networks(target), *read_samples(data / _ENDPOINTS, target)])
    observations = [observe(sample, _ENDPOINT_ERROR) for sample in samples if not sample.view]
    base = load_shipped("pixel1")
    return (base if target.precision is Precision.FLOAT32 else blended(base, load_shipped("pixel4_int8"))), observations


def _provenance(
    target: Target, sources: tuple[str, ...], points: int, errors: NDArray[np.float64], half_width_pct: float
) -> Provenance:
    return Provenance(
        device=target.device,
        soc=_SOCS[target.device],
        runtime="TFLite",
        runtime_build="unknown",
        threads=1,
        cores="one big core",
        precision=target.precision,
        resolution=224,
        runs=0,
        date=_DATE,
        method=Method.CALIBRATED,
        sources=sources,
        points_used=points,
        left_out_error_pct=mean_abs_pct(errors),
        interpolation_error_pct=_INTERPOLATION_PCT,
        interval_pct=half_width_pct,
    )


def _views_only(data: Path, target: Target, times_ms: OpTimes) -> dict[str, Scale]:
    """Return the scales of sources that the table does not learn from."""
    views = {}
    for view, (file, source) in _VIEW_ONLY.items():
        observations = [observe(sample, _VIEW_ERROR) for sample in read_samples(data / file, target)]
        if observations:
            scale = fit_distant_scale(observations, times_ms)
            measured_ms = np.array([observation.latency_ms for observation in observations])
            errors = predicted_ms(observations, times_ms, scale) / measured_ms - 1.0
            views[view] = replace(scale, interval_pct=interval_pct(errors), source=source)
    return views


def _unique(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples without second figures for a network on the same scale; the first counts."""
    first: dict[tuple[str, str], Sample] = {}
    for sample in samples:
        first.setdefault((sample.view, sample.label), sample)
    return list(first.values())


def _seen(observations: Sequence[Observation]) -> set[Op]:
    return {op for observation in observations for op in observation.counts}


_RECIPES: Mapping[str, Callable[[Path], LatencyTable]] = {
    "pixel1": pixel1,
    "pixel2": _adapted("pixel2", Precision.FLOAT32),
    "pixel3": _adapted("pixel3", Precision.FLOAT32),
    "pixel4": _end_to_end("pixel4", Precision.FLOAT32),
    "galaxy_s10": _end_to_end("galaxy_s10", Precision.FLOAT32),
    "pixel1_int8": _adapted("pixel1", Precision.INT8),
    "pixel2_int8": _adapted("pixel2", Precision.INT8),
    "pixel3_int8": _adapted("pixel3", Precision.INT8),
    "pixel4_int8": _end_to_end("pixel4", Precision.INT8),
    "galaxy_s10_int8": _end_to_end("galaxy_s10", Precision.INT8),
    **ROOFLINE_RECIPES,
}
