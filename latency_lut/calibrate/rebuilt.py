"""The MobileNetV3 paper's latencies and the grids beside it, each predicted by a fit that saw neither it nor its kin.

A network's kin are all of its family on the same phone and precision, on every scale: other widths and resolutions,
the minimalistic variant, and for V3-Large the rows of table 5. In a grid on a scale of its own, which no other family
tells, they are the other resolutions of the same width. The tables of Pixel 2 and 3 and of int8 take their structure
from other tables, in which the family's times on *those* phones stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from latency_lut.calibrate.adapt import adapt
from latency_lut.calibrate.left_out import Fit, family_of
from latency_lut.calibrate.observations import Observation, observe
from latency_lut.calibrate.recipes import adapted_start, pixel1_fit, pixel1_inference
from latency_lut.calibrate.views import predicted_ms, uniform_scale
from latency_lut.provenance import Precision
from latency_lut.samples import Sample, Target
from searchspace.reference import reference

PHONES = ("pixel1", "pixel2", "pixel3")
# Rows of table 3 that no table was made from, by phone: Mnas-small's definition was never released, MnasNet-small is
# the nearest; Large-0.75 on Pixel 3 is the figure of the paper's first version.
UNUSED: Mapping[str, tuple[float | None, float | None, float | None]] = {
    "mnasnet_small": (20.3, 24.2, 17.2),
    "mobilenet_v3_large_0.75": (None, None, 40.0),
}
_SWISH = "h-swish"


class Rebuilt(NamedTuple):
    """A published time, in ms on the scale of `view`, and what a fit without it and its kin makes of it.

    `used` says whether the shipped table was made from it.
    """

    device: str
    precision: str
    view: str
    label: str
    published_ms: float
    left_out_ms: float
    used: bool


def rebuilt(data: Path) -> list[Rebuilt]:
    """Fit every table of the three phones again without each family in turn; `data` is the folder of measurements."""
    rows: list[Rebuilt] = []
    for device in PHONES:
        for precision in Precision:
            rows += _of_target(data, Target(device, precision))
    return rows


def _of_target(data: Path, target: Target) -> Iterator[Rebuilt]:
    observations, fit = _start(data, target)
    extra = _unused(target)
    told = [one for one in [*observations, *extra] if _is_told(one)]
    for group in dict.fromkeys(_group(one) for one in told):
        process, views = fit([one for one in observations if not _is_kin(one, group)])
        for one in told:
            if _group(one) == group:
                scale = views.get(one.view, uniform_scale(1.0))
                found_ms = float(predicted_ms([one], process.mean_ms, scale)[0])
                where = target.device, target.precision.value, one.view, one.label
                yield Rebuilt(*where, one.latency_ms, found_ms, one not in extra)


def _start(data: Path, target: Target) -> tuple[Sequence[Observation], Fit]:
    """Return what a phone's table learns from, and how."""
    if target == Target("pixel1", Precision.FLOAT32):
        return pixel1_inference(data)[0].observations, pixel1_fit
    base, observations = adapted_start(data, target)
    return observations, lambda rest: (adapt(base, rest).process, {})


def _unused(target: Target) -> list[Observation]:
    """Return the rows of table 3 that the phone's table was not made from."""
    if target.precision is not Precision.FLOAT32:
        return []
    at = PHONES.index(target.device)
    times = [(name, row[at]) for name, row in UNUSED.items()]
    networks = [(reference(name), name, latency_ms) for name, latency_ms in times if latency_ms is not None]
    samples = [
        Sample(name, "", tuple(op for layer in network.ops() for op in layer.ops), latency_ms, True)
        for network, name, latency_ms in networks
    ]
    return [observe(sample, 0.0) for sample in samples]


def _is_told(one: Observation) -> bool:
    return (one.whole_network and one.view != "tunas") or one.label.startswith(_SWISH)


def _group(one: Observation) -> str:
    return "mobilenet_v3_large" if one.label.startswith(_SWISH) else family_of(one)


def _is_kin(one: Observation, group: str) -> bool:
    """Tell whether an observation goes with a group: in a grid those of a width, else a family on every scale."""
    if ": " in group:
        return _group(one) == group
    return (one.whole_network or one.label.startswith(_SWISH)) and _group(replace(one, view="")) == group
