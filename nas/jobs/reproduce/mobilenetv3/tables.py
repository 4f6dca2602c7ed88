"""Stage 4: tables 3, 4 and 5 of the paper rebuilt, every latency by a fit that saw neither it nor its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from latency_lut.calibrate.published import published_networks
from latency_lut.calibrate.rebuilt import PHONES, UNUSED, Rebuilt
from latency_lut.devices import load_shipped
from latency_lut.predict import predict
from latency_lut.provenance import Precision
from latency_lut.samples import Target
from nas.jobs.reproduce.findings import Comparison, Findings, Picture, Table
from nas.jobs.reproduce.mobilenetv3.left_out import found_rows
from nas.jobs.reproduce.pipeline import Context
from nas.report.drawing import INK, SERIES, new_drawing, tidy, write_picture
from nas.runs import RunFolder
from searchspace.redesign import hswish_from

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PICTURE = "left_out.png"
_FLOAT, _INT8 = Precision.FLOAT32.value, Precision.INT8.value
_TITLES = {"pixel1": "Pixel 1", "pixel2": "Pixel 2", "pixel3": "Pixel 3"}
_NAMES = {
    "mobilenet_v3_large": "V3-Large 1.0", "mobilenet_v3_large_0.75": "V3-Large 0.75", "mnasnet_a1": "MnasNet-A1",
    "proxylessnas_mobile": "ProxylessNAS", "mobilenet_v2": "V2 1.0", "mobilenet_v3_small": "V3-Small 1.0",
    "mobilenet_v3_small_0.75": "V3-Small 0.75", "mnasnet_small": "Mnas-small (MnasNet-small here)",
    "mobilenet_v2_0.35": "V2 0.35",
}  # fmt: skip
# Table 5, Pixel 1: first width with h-swish (None: nowhere) -> ms with the optimised kernel.
TABLE_5: Mapping[int | None, float] = {None: 50.5, 80: 51.4, 16: 53.5, 112: 51.0}
_MARKS = (
    "paper / ours without it and its kin (error). * the shipped table was made from this row; rows without the mark "
    "made no table."
)


def run_tables(context: Context) -> Findings:
    """Set every published latency beside the prediction of a fit without it."""
    rows = found_rows(context.settings.latencies)
    _require_same(rows)
    context.report(1, 2)
    write_picture(RunFolder(context.folder), PICTURE, lambda: draw_left_out(rows))
    kinds = {
        "table 3, float": lambda row: not row.view and row.precision == _FLOAT and row.label in _NAMES,
        "table 4, 8-bit": lambda row: not row.view and row.precision == _INT8 and row.label in _NAMES,
        "widths and resolutions": lambda row: bool(row.view),
    }
    figures = {name: _error_figures(rows, chosen) for name, chosen in kinds.items()}
    comparisons = [
        Comparison(
            what=f"{name}: mean error of latencies left out",
            paper="0 (measured)",
            ours=f"{one['mean_abs_pct']:.1f} % over {one['count']} rows, worst {one['worst_pct']:+.1f} %",
            why=f"worst: {one['worst']}",
        )
        for name, one in figures.items()
    ]
    comparisons += _headlines(rows)
    return Findings(
        comparisons=comparisons,
        tables=[_table_3(rows), _table_4(rows), _ratios(rows), _table_5(rows), _grid(rows)],
        pictures=[Picture(title="Published latencies, each left out with its kin", file=PICTURE, note=_MARKS)],
        text=[
            "Kin are the family's other widths, resolutions and variants on the same phone and precision, on every "
            "scale. The tables of Pixel 2, Pixel 3 and int8 take their structure from those of Pixel 1 and Pixel 4, "
            "which have seen the networks on those phones.",
            "Table 5 is what a left-out fit cannot predict: without V3-Large and its variants hardly anything says "
            "what h-swish costs on the paper's runtime. With its rows the table gives them back.",
        ],
        figures=figures | {"rows": [row._asdict() for row in rows]},
    )


def _require_same(rows: Iterable[Rebuilt]) -> None:
    """Assert that what is left out covers the paper's tables as the calibration holds them."""
    have = {(row.device, row.precision, row.label, row.published_ms) for row in rows if not row.view}
    for device in PHONES:
        for precision in (Precision.FLOAT32, Precision.INT8):
            for sample in published_networks(Target(device, precision)):
                assert (device, precision.value, sample.label, sample.latency_ms) in have, sample.label


def _error_figures(rows: Sequence[Rebuilt], chosen: Callable[[Rebuilt], bool]) -> dict[str, float | int | str]:
    picked = [row for row in rows if chosen(row) and row.used]
    errors = [error_pct(row) for row in picked]
    worst = int(np.argmax(np.abs(errors)))
    return {
        "count": len(picked),
        "mean_abs_pct": float(np.mean(np.abs(errors))),
        "within_5_pct": float(100 * np.mean(np.abs(errors) <= 5)),
        "worst_pct": errors[worst],
        "worst": f"{picked[worst].label} on {_TITLES[picked[worst].device]}",
    }


def error_pct(row: Rebuilt) -> float:
    """Return how far the prediction lies above the published time, in percent of it."""
    return 100 * (row.left_out_ms / row.published_ms - 1)


def _find(rows: Iterable[Rebuilt], device: str, precision: str, label: str) -> Rebuilt | None:
    found = (r for r in rows if (r.device, r.precision, r.label, r.view) == (device, precision, label, ""))
    return next(found, None)


def _cell(row: Rebuilt | None) -> str:
    if row is None:
        return "-"
    mark = "*" if row.used else ""
    return f"{row.published_ms:g}{mark} / {row.left_out_ms:.1f} ({error_pct(row):+.0f} %)"


def _network_table(title: str, rows: Sequence[Rebuilt], precision: str, note: str) -> Table:
    labels = [label for label in _NAMES if any(_find(rows, phone, precision, label) for phone in PHONES)]
    return Table(
        title=title,
        columns=("network", *(f"{_TITLES[phone]}, ms" for phone in PHONES)),
        rows=[(_NAMES[label], *(_cell(_find(rows, phone, precision, label)) for phone in PHONES)) for label in labels],
        note=note,
    )


def _table_3(rows: Sequence[Rebuilt]) -> Table:
    unused = "Mnas-small's definition was never released, so that MnasNet's released small network stands in; " \
             "Large-0.75 on Pixel 3 is the first version's figure."  # fmt: skip
    assert set(UNUSED) <= set(_NAMES)
    return _network_table("Table 3, float, one big core", rows, _FLOAT, f"{_MARKS} {unused}")


def _table_4(rows: Sequence[Rebuilt]) -> Table:
    return _network_table("Table 4, 8-bit", rows, _INT8, _MARKS)


def _ratios(rows: Sequence[Rebuilt]) -> Table:
    """Return how much faster int8 is than float, in the paper and by predictions left out."""
    found = []
    for label, name in _NAMES.items():
        cells = []
        for phone in PHONES:
            pair = _find(rows, phone, _FLOAT, label), _find(rows, phone, _INT8, label)
            if pair[0] is None or pair[1] is None:
                cells.append("-")
                continue
            paper, ours = (pair[1].published_ms / pair[0].published_ms, pair[1].left_out_ms / pair[0].left_out_ms)
            cells.append(f"{paper:.2f} / {ours:.2f}")
        if set(cells) != {"-"}:
            found.append((name, *cells))
    columns = ("network", *(_TITLES[phone] for phone in PHONES))
    note = "Latency in 8 bit over that in float: paper / ours, both of ours left out."
    return Table(title="8-bit beside float", columns=columns, rows=found, note=note)


def _table_5(rows: Sequence[Rebuilt]) -> Table:
    table = load_shipped("pixel1")
    relu_ms = predict(table, hswish_from(None)).latency_ms
    found = []
    for width, paper_ms in TABLE_5.items():
        row = _find(rows, "pixel1", _FLOAT, f"h-swish from {width} channels on")
        fitted_ms = predict(table, hswish_from(width)).latency_ms
        name = "ReLU everywhere" if width is None else f"h-swish from {width} channels on"
        left_out = f"{row.left_out_ms:+.1f}" if row is not None else "-"
        mark = "*" if row is not None else ""
        found.append((name, f"{paper_ms:g}", f"{paper_ms - TABLE_5[None]:+.1f}{mark}", left_out,
                      f"{fitted_ms - relu_ms:+.1f}", f"{fitted_ms:.1f}"))  # fmt: skip
    return Table(
        title="Table 5: where h-swish starts in V3-Large, Pixel 1, ms",
        columns=("variant", "paper", "over ReLU, paper", "ours, left out", "ours, all rows", "whole network, all rows"),
        rows=found,
        note="Left out: by a fit that saw neither V3-Large nor any of its variants. * the shipped table was made from "
        "this row. Blocks differ; the stem keeps h-swish in all of ours.",
    )


def _grid(rows: Sequence[Rebuilt]) -> Table:
    members = [row for row in rows if row.view]
    sources = {"slim_v2": "TF-slim's README", "mnasnet_readme": "MnasNet's README"}
    cells = [(row.label, sources[row.view], f"{row.published_ms:g}*", f"{row.left_out_ms:.1f}",
              f"{error_pct(row):+.1f}") for row in members]  # fmt: skip
    return Table(
        title="Widths and resolutions, Pixel 1, float",
        columns=("network_width@resolution", "source", "published, ms", "ours, ms", "error, %"),
        rows=cells,
        note="Each by a fit without all resolutions of that width, on the scale of its source, which differs from the "
        "paper's: latencies are not those of table 3.",
        numbers=2,
    )


def _headlines(rows: Sequence[Rebuilt]) -> list[Comparison]:
    """Return the paper's claims about V3-Large against V2, from networks left out."""
    found = []
    for first, second, what in (
        ("mobilenet_v3_large", "mobilenet_v2", "V3-Large against V2, float"),
        ("mobilenet_v3_small", "mobilenet_v2_0.35", "V3-Small against V2 0.35, float"),
    ):
        cells = [(_find(rows, phone, _FLOAT, first), _find(rows, phone, _FLOAT, second)) for phone in PHONES]
        pairs = [(one, two) for one, two in cells if one is not None and two is not None]
        paper = ", ".join(f"{100 * (one.published_ms / two.published_ms - 1):+.0f} %" for one, two in pairs)
        ours = ", ".join(f"{100 * (one.left_out_ms / two.left_out_ms - 1):+.0f} %" for one, two in pairs)
        found.append(Comparison(what=f"{what}, Pixel 1, 2, 3", paper=paper, ours=ours, why="each left out"))
    return found


def draw_left_out(rows: Sequence[Rebuilt]) -> Drawing:
    """Draw published against left-out latency for the paper's tables and the grids."""
    drawing = new_drawing(6.4, 5)
    axes = drawing.add_subplot()
    kinds = [(f"{_TITLES[phone]}, {precision}", phone, precision) for phone in PHONES for precision in (_FLOAT, _INT8)]
    for number, (name, phone, precision) in enumerate(kinds):
        chosen = [r for r in rows if (r.device, r.precision, r.view) == (phone, precision, "") and r.label in _NAMES]
        style = "o" if precision == _FLOAT else "s"
        points = [r.published_ms for r in chosen], [r.left_out_ms for r in chosen]
        axes.plot(*points, style, color=SERIES[number // 2], markersize=5, label=name,
                  markerfacecolor=SERIES[number // 2] if precision == _FLOAT else "white")  # fmt: skip
    grid = [row for row in rows if row.view]
    axes.plot([r.published_ms for r in grid], [r.left_out_ms for r in grid], "x", color=SERIES[3], markersize=4,
              label="widths and resolutions, Pixel 1")  # fmt: skip
    ends = [6, 145]
    axes.plot(ends, ends, color=INK, linewidth=0.8)
    axes.set(
        xscale="log", yscale="log", xlabel="published latency [ms]", ylabel="predicted without it and its kin [ms]"
    )
    tidy(axes)
    return drawing
