"""MobileNeXt's table 3 and its Pixel 4 figures, rebuilt: parameters, multiply-adds, predicted latency by width."""

from __future__ import annotations

from typing import NamedTuple

from latency_lut import predict
from latency_lut.devices import load_device
from nas.jobs.reproduce.findings import Comparison, Findings, Table
from nas.jobs.reproduce.pipeline import Context
from searchspace.reference import reference


class Row(NamedTuple):
    """A row of table 3: top-1 in per cent, parameters and multiply-adds in millions, as printed there."""

    width: str
    top1: float
    params_m: float
    madds_m: float


# Zhou et al., table 3, with the README's 3.5 M parameters at width 1.0 (3.4 M in the table).
MOBILENEXT = (
    Row("1.4", 76.1, 6.1, 590),
    Row("1.0", 74.0, 3.5, 300),
    Row("0.75", 72.0, 2.5, 210),
    Row("0.5", 67.7, 2.1, 110),
    Row("0.35", 64.7, 1.8, 80),
)
MOBILENET_V2 = (
    Row("1.4", 74.9, 6.9, 690),
    Row("1.0", 72.3, 3.5, 300),
    Row("0.75", 69.9, 2.6, 150),
    Row("0.5", 65.4, 2.0, 97),
    Row("0.35", 60.3, 1.7, 59),
)
# README of the authors' code, TFLite on a Pixel 4's CPU: the range of repeated runs, threads not said.
PIXEL_4_MS = {"mobilenet_v2": (44.0, 47.0), "mobilenext": (48.0, 51.0)}
_REASONS = {
    ("mobilenext", "1.0", "params"): "the paper's table has 2 blocks in its seventh stage, its code 3: 3.21 or 3.54 M",
    ("mobilenext", "0.75", "params"): "the code keeps 1,280 channels before the classifier",
    ("mobilenet_v2", "1.4", "params"): "6.9 M cannot be had from the published structure",
    ("mobilenet_v2", "1.4", "madds"): "690 M cannot be had from the published structure; V2's own paper says 585",
    ("mobilenet_v2", "0.75", "madds"): "V2's own README says 209",
}


def run_tables(context: Context) -> Findings:
    """Set every width's counts and the Pixel 4 latencies beside the published ones."""
    phone = load_device("pixel4")
    comparisons, rows = [], []
    for base, published in (("mobilenext", MOBILENEXT), ("mobilenet_v2", MOBILENET_V2)):
        for row in published:
            network = reference(base if row.width == "1.0" else f"{base}_{row.width}")
            comparisons += [
                Comparison(
                    what=f"{base} {row.width}, parameters",
                    paper=f"{row.params_m:.1f} M",
                    ours=f"{network.params / 1e6:.2f} M",
                    why=_REASONS.get((base, row.width, "params"), ""),
                ),
                Comparison(
                    what=f"{base} {row.width}, multiply-adds",
                    paper=f"{row.madds_m:.0f} M",
                    ours=f"{network.madds / 1e6:.0f} M",
                    why=_REASONS.get((base, row.width, "madds"), ""),
                ),
            ]
            latency = predict(phone, network, allow_extrapolation=True)
            rows.append(
                (f"{base} {row.width}", f"{row.top1:.1f}", f"{latency.latency_ms:.1f}",
                 f"{latency.low_ms:.1f} to {latency.high_ms:.1f}")
            )  # fmt: skip
            context.report(len(rows), len(MOBILENEXT) + len(MOBILENET_V2))
    comparisons += [_latency(base) for base in PIXEL_4_MS]
    table = Table(
        title="Pixel 4, one big core, predicted by the shipped table",
        columns=("network", "published top-1, %", "predicted, ms", "90 % interval"),
        rows=rows,
        note="Top-1 is the paper's. No sandglass was timed for this table: its latencies rest on those of the same "
        "layers in other blocks.",
    )
    return Findings(comparisons=comparisons, tables=[table], figures={row[0]: float(row[2]) for row in rows})


def _latency(base: str) -> Comparison:
    predicted = predict(load_device("pixel4"), reference(base), allow_extrapolation=True)
    low_ms, high_ms = PIXEL_4_MS[base]
    return Comparison(
        what=f"{base} 1.0, TFLite on a Pixel 4's CPU",
        paper=f"{low_ms:.0f} to {high_ms:.0f} ms",
        ours=f"{predicted.latency_ms:.1f} ms",
        why="cores, threads and build are not published; compare the ratio: 1.09 there",
    )
