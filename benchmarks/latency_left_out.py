"""How near the shipped tables' method comes to networks that it did not see, alone or with their whole families.

    python benchmarks/latency_left_out.py FOLDER [docs/img/latency_left_out.png]

FOLDER holds the published measurements. Prints, for every table made from measurements of its own: count and mean error
of networks left out alone and of whole families left out, how many lie inside the 90 % interval, and its mean half
width. The intervals are those that a table would give: standard deviations as they are allotted to ops
(`latency_lut.calibrate.deviations`). With a second argument, draws the picture of docs/latency.md. Takes some three
minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latency_lut import Precision
from latency_lut.calibrate.inference import Inference
from latency_lut.calibrate.left_out import LeftOut, calibrate_interval, half_width_pct, off_pct
from latency_lut.calibrate.recipes import end_to_end_inference, end_to_end_left_out, pixel1_inference, pixel1_left_out
from latency_lut.samples import Target
from nas.report.drawing import png_bytes
from searchspace.support.files import write_atomic

Chosen = Callable[[int], bool]
COLUMNS = "{:<18}{:<16}{:<10}{:>6}{:>12}{:>10}{:>14}"


def print_table(data: Path) -> None:
    print(COLUMNS.format("table", "scale", "left out", "count", "mean error", "inside", "half width"))
    pixel1, _ = pixel1_inference(data)
    print_rows("pixel1", pixel1_left_out(pixel1), pixel1_left_out(pixel1, as_table=True))
    for device in ("pixel4", "galaxy_s10"):
        for precision in Precision:
            inference = end_to_end_inference(data, Target(device, precision))
            name = device if precision is Precision.FLOAT32 else f"{device}_{precision.value}"
            print_rows(name, end_to_end_left_out(inference), end_to_end_left_out(inference, as_table=True))


def print_rows(table: str, exact: Sequence[LeftOut], points: Sequence[LeftOut]) -> None:
    terms = calibrate_interval(exact)  # as the recipe does
    groups = [(view, alone) for view in sorted(terms.interval_pct) for alone in (True, False)]
    for view, alone in groups:
        chosen = [point for point in points if point.view == view and (not point.family) == alone]
        widths = [half_width_pct(point, terms.doubt_share, terms.interval_pct[view]) for point in chosen]
        inside = np.mean([off_pct(point) <= width for point, width in zip(chosen, widths, strict=True)])
        mean_pct = np.mean([abs(point.error_pct) for point in chosen])
        row = table, view or "own", "networks" if alone else "families", len(chosen)
        print(COLUMNS.format(*row, f"{mean_pct:.1f} %", f"{100 * inside:.0f} %", f"{np.mean(widths):.1f} %"))


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
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print_table(Path(sys.argv[1]))
    if len(sys.argv) == 3:
        write_atomic(sys.argv[2], png_bytes(draw(Path(sys.argv[1]))))
