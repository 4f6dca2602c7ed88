"""How near the shipped tables' method comes to networks that it did not see, alone or with their whole families.

    python benchmarks/latency_left_out.py FOLDER [docs/img/latency_left_out.png] [--only NAMES]

FOLDER holds the published measurements. Prints, for every shipped table: count and mean error of networks left out
alone and of whole families left out, how many lie inside the 90 % interval, and its mean half width. The intervals are
those that a table gives, by sums over ops; how wide they are is set again for each network without its errors. With a
second argument, draws the picture of docs/latency.md. `--only pixel1,pixel6_int8` prints those tables alone. Takes some
four minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from latency_lut import Precision
from latency_lut.calibrate.adapt import Adaptation, adapt
from latency_lut.calibrate.assemble import interval_beside_pct
from latency_lut.calibrate.inference import Inference
from latency_lut.calibrate.left_out import LeftOut, calibrate_interval, families, half_width_pct, off_pct
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.recipes import (
    adapted_start,
    end_to_end_inference,
    end_to_end_left_out,
    pixel1_inference,
    pixel1_left_out,
    recipe_names,
)
from latency_lut.calibrate.roofline_fit import doubt_share, half_width_of, nested_coverage
from latency_lut.calibrate.roofline_recipes import ROOFLINE_FITS
from latency_lut.devices import load_shipped
from latency_lut.samples import Target
from nas.report.drawing import png_bytes
from searchspace.support.files import write_atomic

Chosen = Callable[[int], bool]
COLUMNS = "{:<22}{:<16}{:<10}{:>6}{:>12}{:>10}{:>14}"
_Z_90 = 1.6448536269514722


class Checked(NamedTuple):
    """A network left out, whether an interval set without it holds it, and half its width in percent of the time."""

    point: LeftOut
    inside: bool
    half_width_pct: float


def print_table(data: Path, names: Sequence[str]) -> None:
    print(COLUMNS.format("table", "scale", "left out", "count", "mean error", "inside", "half width"))
    everything: list[Checked] = []
    for name in names:
        rows = list(checked(name, data))
        everything += rows
        for view in sorted({row.point.view for row in rows}):
            of_view = [row for row in rows if row.point.view == view]
            print_row(name, view or "own", "networks", [row for row in of_view if not row.point.family])
            print_row(name, view or "own", "families", [row for row in of_view if row.point.family])
            print_row(name, view or "own", "both", of_view)
    print_row("all", "", "both", everything)


def print_row(table: str, scale: str, left_out: str, rows: Sequence[Checked]) -> None:
    if rows:
        mean_pct = np.mean([abs(row.point.error_pct) for row in rows])
        inside = f"{100 * np.mean([row.inside for row in rows]):.0f} %"
        width = f"{np.mean([row.half_width_pct for row in rows]):.1f} %"
        print(COLUMNS.format(table, scale, left_out, len(rows), f"{mean_pct:.1f} %", inside, width), flush=True)


def checked(name: str, data: Path) -> Iterator[Checked]:
    """Yield every network left out of the fit behind a shipped table."""
    made = load_shipped(name).provenance
    target = Target(made.device, made.precision)
    if name in ROOFLINE_FITS:
        yield from of_rates(ROOFLINE_FITS[name](data)[0].points)
    elif name == "pixel1":
        inference, _ = pixel1_inference(data)
        yield from of_process(pixel1_left_out(inference), pixel1_left_out(inference, as_table=True))
    elif made.device in ("pixel4", "galaxy_s10"):
        inference = end_to_end_inference(data, target)
        yield from of_process(end_to_end_left_out(inference), end_to_end_left_out(inference, as_table=True))
    else:
        yield from of_adapted(data, target)


def of_rates(points: Sequence[LeftOut]) -> Iterator[Checked]:
    share = doubt_share(points)
    for point, inside in zip(points, nested_coverage(points).tolist(), strict=True):
        yield Checked(point, inside, half_width_of(point, share))


def of_process(exact: Sequence[LeftOut], points: Sequence[LeftOut]) -> Iterator[Checked]:
    """Yield networks with the interval that the recipe sets by the process's standard deviations."""
    whole = calibrate_interval(exact)
    for point in points:
        terms = calibrate_interval([other for other in exact if other.label != point.label])
        inside = off_pct(point) <= half_width_pct(point, terms.doubt_share, terms.interval_pct[point.view])
        yield Checked(point, inside, half_width_pct(point, whole.doubt_share, whole.interval_pct[point.view]))


def of_adapted(data: Path, target: Target) -> Iterator[Checked]:
    base, observations = adapted_start(data, target)
    found = adapt(base, observations)
    groups = families(observations) if len(families(observations)) > 1 else {}
    places = [(index, "") for index in range(len(observations))]
    places += [(index, name) for name, members in groups.items() for index in sorted(members)]
    errors = np.concatenate([found.left_out_errors, found.family_errors])
    doubts = np.array([doubt_of(found, observations[index]) for index, _ in places])
    for (index, family), error, doubt in zip(places, errors, doubts, strict=True):
        point = LeftOut(
            observations[index].label, "", family, observations[index].latency_ms, 100 * float(error), 100 * doubt
        )
        others = np.array([other != index for other, _ in places])
        inside = off_pct(point) <= beside_pct(errors[others], doubts[others], doubt)
        yield Checked(point, inside, beside_pct(errors, doubts, doubt))


def doubt_of(found: Adaptation, observation: Observation) -> float:
    """Return the standard deviation that the base's entries give a network, as a share of its time."""
    times_ms = found.process.mean_ms(list(observation.counts))
    total_ms = float(np.array(list(observation.counts.values())) @ times_ms)
    return found.doubt.sum_sd_ms(observation.counts, times_ms) / total_ms


def beside_pct(errors: NDArray[np.float64], doubts: NDArray[np.float64], doubt: float) -> float:
    """Return half the width of the interval of a network with `doubt`, in percent, as left-out errors set it."""
    return float(np.hypot(100 * _Z_90 * doubt, interval_beside_pct(errors, float(np.median(doubts)))))


def scatter(axes: Axes, inference: Inference, chosen: Chosen, label: str) -> None:
    picked = [index for index in range(len(inference.observations)) if chosen(index)]
    measured_ms = [inference.observations[index].latency_ms for index in picked]
    errors_pct = 100 * inference.left_out_errors[picked]
    mean_pct = np.abs(errors_pct).mean()
    axes.plot(measured_ms, errors_pct, "o", ms=3.5, alpha=0.6, label=f"{label}: mean {mean_pct:.1f} %")


def finish(axes: Axes, title: str) -> None:
    axes.axhspan(-5, 5, color="#e3e8ee", zorder=0)
    axes.axhline(0, color="#4c5766", lw=0.8, zorder=1)
    axes.set(xscale="log", ylim=(-26, 26), title=title, xlabel="measured [ms]", ylabel="error of the prediction [%]")
    axes.label_outer()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def draw(data: Path) -> Figure:
    drawing = Figure(figsize=(11, 3.6), layout="constrained")
    blocks_axes, networks_axes, phones_axes = drawing.subplots(1, 3, sharey=True)
    pixel1, blocks = pixel1_inference(data)
    scatter(blocks_axes, pixel1, lambda index: index < blocks, f"{blocks} TuNAS blocks")
    finish(blocks_axes, "Pixel 1, blocks")
    for view, label in (("", "MobileNetV3 paper"), ("slim_v2", "V2 grid"), ("mnasnet_readme", "MnasNet grid")):
        of_view = {i for i, o in enumerate(pixel1.observations) if o.whole_network and o.view == view}
        scatter(networks_axes, pixel1, of_view.__contains__, label)
    finish(networks_axes, "Pixel 1, networks, each on its own scale")
    for device in ("pixel4", "galaxy_s10"):
        for precision in Precision:
            inference = end_to_end_inference(data, Target(device, precision))
            scatter(phones_axes, inference, lambda index: True, f"{device} {precision.value}")
    finish(phones_axes, "Pixel 4 and Galaxy S10, networks")
    return drawing


if __name__ == "__main__":
    arguments = sys.argv[1:]
    chosen_names = recipe_names()
    if "--only" in arguments[:-1]:
        place = arguments.index("--only")
        chosen_names = tuple(arguments[place + 1].split(","))
        del arguments[place : place + 2]
    if len(arguments) not in (1, 2) or not set(chosen_names) <= set(recipe_names()):
        sys.exit(__doc__)
    print_table(Path(arguments[0]), chosen_names)
    if len(arguments) == 2:
        write_atomic(arguments[1], png_bytes(draw(Path(arguments[0]))))
