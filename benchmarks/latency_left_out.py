"""Draw how near the shipped tables' method comes to measurements that it did not see.

    python benchmarks/latency_left_out.py FOLDER docs/img/latency_left_out.png

Every point is a measured block or network beside its prediction from all the others (Gaussian process, closed form).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latency_lut import Precision
from latency_lut.calibrate.inference import Inference
from latency_lut.calibrate.recipes import end_to_end_inference, pixel1_inference
from latency_lut.samples import Target
from nas.report.pictures import png_bytes
from searchspace.support.files import write_atomic

Chosen = Callable[[int], bool]


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
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_atomic(sys.argv[2], png_bytes(draw(Path(sys.argv[1]))))
