"""How the shipped tables that are a few rates are made from published times of whole networks.

Phones' CPUs in int8, GPUs, DSPs and NPUs, and boards. Every one is fitted to between 4 and 28 networks
(`roofline_fit`); the class of device that gives the prior is the one that predicts networks left out best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latency_lut.calibrate.assemble import mean_abs_pct
from latency_lut.calibrate.left_out import families
from latency_lut.calibrate.observations import Observation, observe
from latency_lut.calibrate.roofline_fit import (
    ELEMENT_BYTES,
    NOMINAL,
    Choice,
    Nominal,
    RooflineFit,
    as_nominal,
    choose_roofline,
    chosen,
    fit_roofline,
    left_out_point,
    untimed_kinds,
)
from latency_lut.limits import too_weak
from latency_lut.networkfiles import read_samples
from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.samples import Sample, Target
from latency_lut.table import LatencyTable

DATE = "2026-11-25"
_TABLE6 = ("mobilenetv4_table6.csv", "MobileNetV4, arXiv 2404.10518, table 6")
_AIHUB = ("aihub_npu.csv", "qualcomm/ai-hub-models (BSD-3-Clause), published inference times of classifiers")
_GRID = ("mlperf_v05_mobilenet_grid.csv", "mlcommons/inference_results_v0.5 (Apache-2.0), dividiti's grids")
_ERROR = 0.02
_GENERATION_SD = 0.1  # by how much a rate of one generation of NPU differs from the others' beside its speed
_PRECISION_SD = 0.3
# All generations of the NPU that were timed; the last is Qualcomm's reference phone, which has no table.
_GENERATIONS = ("galaxy_s23_npu", "galaxy_s24_npu", "galaxy_s25_npu", "snapdragon_8_elite_gen_5_qrd_npu")
# DenseNet-121 takes 1.4 times as long in int8 as in float there: its concatenations are quantised again, which says
# nothing of mobile networks.
_UNLIKE_IN_INT8 = ("densenet121",)


class Device(NamedTuple):
    """What is known of a device beside its times."""

    soc: str
    runtime: str
    cores: str
    threads: int


_ONE_CORE = ("TFLite, XNNPACK", "one fastest core", 1)
_BOARD = ("TFLite 1.15", "as submitted, number of threads not published", 0)
_DEVICES: Mapping[str, Device] = {
    "pixel6": Device("Google Tensor", *_ONE_CORE),
    "galaxy_s23": Device("Snapdragon 8 Gen 2", *_ONE_CORE),
    "galaxy_s23_gpu": Device("Snapdragon 8 Gen 2", "TFLite", "GPU, Adreno 740", 0),
    "pixel7_gpu": Device("Google Tensor G2", "TFLite", "GPU, Mali-G710", 0),
    "pixel4_hexagon": Device("Snapdragon 855", "TFLite", "DSP, Hexagon 690", 0),
    "pixel8_edgetpu": Device("Google Tensor G3", "TFLite", "NPU, EdgeTPU", 0),
    "iphone13_coreml": Device("Apple A15", "Core ML", "as Core ML chooses", 0),
    "galaxy_s23_npu": Device("Snapdragon 8 Gen 2", "TFLite", "NPU, Hexagon", 0),
    "galaxy_s24_npu": Device("Snapdragon 8 Gen 3", "TFLite", "NPU, Hexagon", 0),
    "galaxy_s25_npu": Device("Snapdragon 8 Elite", "TFLite", "NPU, Hexagon", 0),
    "hikey960": Device("Kirin 960", *_BOARD),
    "rk3399": Device("RK3399", *_BOARD),
    "raspberry_pi4": Device("BCM2711", *_BOARD),
}


Fitted = Callable[[Path], tuple[Choice, list[Observation]]]


def of_file(device: str, precision: Precision, source: tuple[str, str], classes: Sequence[Nominal] = NOMINAL) -> Fitted:
    """Return how a device that one file knows by itself is fitted."""

    def fitted(data: Path) -> tuple[Choice, list[Observation]]:
        observations = measured(data / source[0], Target(device, precision))
        return choose_roofline(observations, ELEMENT_BYTES[precision], classes), observations

    return fitted


def of_npu(device: str, precision: Precision) -> Fitted:
    """Return how one generation of the NPU is fitted, whose structure all generations share."""
    return lambda data: npu_choice(data, device, precision)


def _recipe(target: Target, fitted: Fitted, source: str) -> Callable[[Path], LatencyTable]:
    """Return the recipe of a table of rates."""

    def recipe(data: Path) -> LatencyTable:
        choice, observations = fitted(data)
        return roofline_table(provenance(target, observations, choice, source), choice)

    return recipe


def npu_choice(data: Path, device: str, precision: Precision) -> tuple[Choice, list[Observation]]:
    """Return the fit of one generation and its networks; what is left out is left out of all generations at once."""
    observations = _npu_networks(data, device, precision)
    groups = [("", [point]) for point in observations]
    by_family = {name: [observations[i] for i in members] for name, members in families(observations).items()}
    points = []
    for name, members in [*groups, *((name, members) for name, members in by_family.items() if len(members) > 1)]:
        fit = _npu_fit(data, device, precision, {point.label for point in members})
        points += [left_out_point(point, fit, name) for point in members]
    return chosen(NOMINAL[-1], _npu_fit(data, device, precision, set()), points), observations


def _npu_fit(data: Path, device: str, precision: Precision, left_out: Set[str]) -> RooflineFit:
    shared = fit_roofline(_across_generations(data, Precision.FLOAT16, left_out), NOMINAL[-1], 2)
    if precision is Precision.INT8:
        prior = as_nominal(shared, _PRECISION_SD, "float")
        shared = fit_roofline(_across_generations(data, precision, left_out), prior, 1)
    own = [point for point in _npu_networks(data, device, precision) if point.label not in left_out]
    return fit_roofline(own, as_nominal(shared, _GENERATION_SD, "npu"), ELEMENT_BYTES[precision])


def _npu_networks(data: Path, device: str, precision: Precision) -> list[Observation]:
    found = measured(data / _AIHUB[0], Target(device, precision))
    unlike = _UNLIKE_IN_INT8 if precision is Precision.INT8 else ()
    return [point for point in found if point.label not in unlike]


def _across_generations(data: Path, precision: Precision, left_out: Set[str]) -> list[Observation]:
    """Return every network with the geometric mean of its times over the generations that all networks have."""
    by_generation = [{p.label: p for p in _npu_networks(data, name, precision)} for name in _GENERATIONS]
    most = max(len(found) for found in by_generation)
    complete = [found for found in by_generation if len(found) == most]
    labels = [label for label in complete[0] if label not in left_out and all(label in found for found in complete)]
    return [_mean([found[label] for found in complete]) for label in labels]


def measured(path: Path, target: Target) -> list[Observation]:
    """Return a file's networks of a device, each once: repeated measurements by their geometric mean."""
    by_label: dict[str, list[Sample]] = {}
    for sample in read_samples(path, target):
        by_label.setdefault(sample.label, []).append(sample)
    return [_mean([observe(sample, _ERROR) for sample in samples]) for samples in by_label.values()]


def _mean(points: Sequence[Observation]) -> Observation:
    latency_ms = float(np.exp(np.mean(np.log([point.latency_ms for point in points]))))
    first = points[0]
    return Observation(first.label, first.view, first.counts, latency_ms, _ERROR * latency_ms, first.whole_network)


def provenance(target: Target, observations: Sequence[Observation], choice: Choice, source: str) -> Provenance:
    """Return the header of a table of rates."""
    known = _DEVICES[target.device]
    return Provenance(
        device=target.device,
        soc=known.soc,
        runtime=known.runtime,
        runtime_build="unknown",
        threads=known.threads,
        cores=known.cores,
        precision=target.precision,
        resolution=224,
        runs=0,
        date=DATE,
        method=Method.CALIBRATED,
        sources=(source,),
        points_used=len(observations),
        left_out_error_pct=mean_abs_pct(choice.left_out_errors),
        interval_pct=round(choice.interval_pct, 2),
        notes=f"rates fitted to whole networks around those of a usual {choice.nominal.name}",
        untimed=untimed_kinds(observations),
    )


def roofline_table(made: Provenance, choice: Choice) -> LatencyTable:
    """Return the table without rows that a fit makes."""
    scale = Scale(per_network_ms=choice.fit.network_ms)
    table = LatencyTable(replace(made, roofline=choice.fit.roofline, scale=scale), {})
    if too_weak(table):
        table = table.with_provenance(replace(table.provenance, notes=f"{made.notes}; too weak to search with"))
    return table


_TABLE6_TARGETS = (
    ("pixel6", Precision.INT8), ("galaxy_s23", Precision.INT8), ("galaxy_s23_gpu", Precision.FLOAT16),
    ("pixel7_gpu", Precision.FLOAT16), ("pixel4_hexagon", Precision.INT8), ("pixel8_edgetpu", Precision.INT8),
    ("iphone13_coreml", Precision.FLOAT16),
)  # fmt: skip
_BOARDS = ("hikey960", "rk3399", "raspberry_pi4")


def table_name(device: str, precision: Precision) -> str:
    """Return the file's name without its ending: int8 is said, float is not."""
    return f"{device}_int8" if precision is Precision.INT8 else device


_FITS: Mapping[tuple[str, Precision], tuple[Fitted, tuple[str, str]]] = {
    **{target: (of_file(*target, _TABLE6), _TABLE6) for target in _TABLE6_TARGETS},
    **{
        (name, precision): (of_npu(name, precision), _AIHUB)
        for name in _GENERATIONS[:-1]
        for precision in (Precision.FLOAT16, Precision.INT8)
    },
    **{
        (name, precision): (of_file(name, precision, _GRID, NOMINAL[:1]), _GRID)
        for name in _BOARDS
        for precision in (Precision.FLOAT32, Precision.INT8)
    },
}
ROOFLINE_FITS: Mapping[str, Fitted] = {table_name(*target): fitted for target, (fitted, _) in _FITS.items()}
ROOFLINE_RECIPES: Mapping[str, Callable[[Path], LatencyTable]] = {
    table_name(*target): _recipe(Target(*target), fitted, source[1]) for target, (fitted, source) in _FITS.items()
}
ROOFLINE_FILES: Mapping[str, frozenset[str]] = {
    table_name(*target): frozenset((source[0],)) for target, (_, source) in _FITS.items()
}
