"""Stage 5: the network at the end beside V3-Large and V3-Small; the front of the MobileNetV3 space beside others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from latency_lut.devices import load_device
from latency_lut.predict import predict
from nas.jobs.reproduce.findings import Comparison, Findings, Picture, Table
from nas.jobs.reproduce.mobilenetv3.blocks import side_by_side
from nas.jobs.reproduce.mobilenetv3.points import PUBLISHED
from nas.jobs.reproduce.mobilenetv3.sizes import size_of
from nas.jobs.reproduce.mobilenetv3.slim import A1, FOUND
from nas.jobs.reproduce.mobilenetv3.training import Trained, train_all, training_told
from nas.jobs.reproduce.pipeline import Context, opened
from nas.jobs.search.files import FRONT_CSV
from nas.jobs.search.found import Progress
from nas.jobs.search.prepare import prepare_search
from nas.jobs.search.run import run_to_folder
from nas.jobs.search.scoring import PredictedScoring, Watch
from nas.jobs.search.settings import SearchSettings
from nas.objectives import front_of
from nas.predictor import score_network, shipped_predictor
from nas.report.drawing import ACCENT, SERIES, new_drawing, tidy, write_picture
from nas.report.pictures import Point
from nas.runs import RunFolder
from searchspace.architecture import Architecture
from searchspace.redesign import redesigned
from searchspace.reference import reference
from searchspace.text import parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

DEVICE, SPACE, FRONT = "pixel", "mobilenetv3", "front.png"
_BUDGETS_MS = (36.0, 60.0)  # each front reaches half again as far; together from the space's small networks on
END, END_A1 = "at the end", "A1, slimmed and redesigned"


def run_ending(context: Context) -> Findings:
    """Redesign what NetAdapt left, train it beside the paper's networks, and draw the front of the whole space."""
    slimmed = context.before["netadapt"].figures
    networks = {
        END: redesigned(parse(slimmed[FOUND]["architecture"])),
        END_A1: redesigned(parse(slimmed[A1]["architecture"])),
        "V3-Large": reference("mobilenet_v3_large"),
        "V3-Small": reference("mobilenet_v3_small"),
    }
    trained = train_all(context, networks)
    front = _front(context)
    large_ms = predict(load_device(DEVICE), networks["V3-Large"]).latency_ms
    ours = [Point(point.latency_ms / large_ms, point.top1) for point in front]
    write_picture(RunFolder(context.folder), FRONT, lambda: draw_front(ours))
    figures = {name: _figures(network, trained[name]) for name, network in networks.items()}
    own = score_network(shipped_predictor(SPACE), networks["V3-Large"])
    return Findings(
        comparisons=_comparisons(figures, ours, own.top1),
        tables=[
            _table(figures, trained),
            side_by_side("The network at the end, block by block", networks),
            _front_table(ours),
        ],
        pictures=[Picture(title="The front of the space, and published points", file=FRONT, note=_NOTE)],
        text=[
            f"Of its own space's predictor, V3-Large itself gets {own.top1:.1f} % (as its nearest member: "
            f"{'; '.join(own.differences) or 'itself'}). {_TUNAS}",
        ],
        scaled_down=f"proxy accuracies: {training_told(context, trained)}. The front is predicted: accuracies of "
        f"sub-networks of Once-for-All's supernet, latencies of the Pixel 1 table, {size_of(context.settings).front:,} "
        f"networks evaluated at each of the budgets of {' and '.join(f'{ms:g}' for ms in _BUDGETS_MS)} ms.",
        figures={"networks": figures, "front": [[point.latency_ms, point.top1] for point in ours],
                 "v3_large_predicted_top1": own.top1},
    )  # fmt: skip


_NOTE = (
    "Latency over that of V3-Large on the same scale. Ours are predictions for networks without retraining; published "
    "points had other training recipes, worth more than most differences here."
)
_TUNAS = (
    "Of TuNAS only the latency stands here, 57 ms on the scale on which V3-Large takes 66: its code's target. The "
    "paper's accuracies could not be checked."
)


def _front(context: Context) -> list[Point]:
    """Search the space without images at each budget, in its own folder, and return the front of all, fastest first."""
    found = [point for number in range(len(_BUDGETS_MS)) for point in _searched(context, number)]
    top1, latency_ms = (np.array(values) for values in ([p.top1 for p in found], [p.latency_ms for p in found]))
    return [found[at] for at in front_of(top1, [latency_ms])]


def _searched(context: Context, number: int) -> list[Point]:
    settings = SearchSettings(
        budget_ms=_BUDGETS_MS[number],
        device=DEVICE,
        space=SPACE,
        seed=context.settings.seed,
        evaluations=size_of(context.settings).front,
    )
    path = context.folder / f"front-{settings.budget_ms:g}ms"
    if not RunFolder(path).is_complete:
        prepared = prepare_search(settings, PredictedScoring(settings.seed))
        folder = opened(path, settings.as_dict(), "search")

        def progress(one: Progress) -> None:
            context.report(number + one.evaluations / one.total, len(_BUDGETS_MS))

        with folder:
            run_to_folder(prepared, folder, export=False, watch=Watch(progress=progress))
    rows = csv.DictReader(io.StringIO((path / FRONT_CSV).read_text(encoding="utf-8")))
    return [Point(float(row["latency_ms"]), float(row["top1"])) for row in rows]


def _figures(network: Architecture, trained: Trained) -> dict[str, Any]:
    prediction = predict(load_device(DEVICE), network)
    return {
        "architecture": str(network),
        "latency_ms": prediction.latency_ms,
        "low_ms": prediction.low_ms,
        "high_ms": prediction.high_ms,
        "madds": network.madds,
        "params": network.params,
        "proxy_top1": list(trained.top1),
    }


def _at(front: Sequence[Point], ratio: float) -> Point:
    """Return the most accurate point of the front up to a ratio, its fastest where none is as fast."""
    within = [point for point in front if point.latency_ms <= ratio]
    return within[-1] if within else front[0]


def _comparisons(figures: Mapping[str, Mapping[str, Any]], front: Sequence[Point], own_top1: float) -> list[Comparison]:
    end, large = figures[END], figures["V3-Large"]
    at_one = _at(front, 1.0)
    proxy = [sum(one["proxy_top1"]) / len(one["proxy_top1"]) for one in (end, large)]
    return [
        Comparison(
            what="the network at the end, latency on Pixel 1",
            paper="51 ms (V3-Large, table 3)",
            ours=f"{end['latency_ms']:.1f} ms ({end['low_ms']:.1f} to {end['high_ms']:.1f})",
            why=f"V3-Large is predicted at {large['latency_ms']:.1f} ms",
        ),
        Comparison(
            what="the network at the end, multiply-adds and parameters",
            paper="219 M, 5.4 M",
            ours=f"{end['madds'] / 1e6:.0f} M, {end['params'] / 1e6:.1f} M",
        ),
        Comparison(
            what="the network at the end less V3-Large, accuracy of an equal short training",
            paper="-",
            ours=f"{proxy[0] - proxy[1]:+.1f} points",
            why="a proxy: says nothing of ImageNet",
        ),
        Comparison(
            what="front of the MobileNetV3 space at V3-Large's latency, ImageNet top-1",
            paper="76.0 % (Once-for-All, no retraining), 75.2 % (V3-Large)",
            ours=f"{at_one.top1:.1f} % predicted at {at_one.latency_ms:.2f} of it",
            why=f"the same predictor gives V3-Large {own_top1:.1f} %",
        ),
    ]


def _table(figures: Mapping[str, Mapping[str, Any]], trained: Mapping[str, Trained]) -> Table:
    rows = [
        (name, f"{one['latency_ms']:.1f}", f"{one['low_ms']:.1f} to {one['high_ms']:.1f}", f"{one['madds'] / 1e6:.0f}",
         f"{one['params'] / 1e6:.2f}", str(trained[name]))
        for name, one in figures.items()
    ]  # fmt: skip
    return Table(
        title="The network at the end beside the paper's",
        columns=("network", "Pixel 1, ms", "90 % interval", "MAdds, M", "params, M", "proxy top-1, %"),
        rows=rows,
    )


def _front_table(front: Sequence[Point]) -> Table:
    rows = []
    for one in sorted(PUBLISHED, key=lambda point: point.ratio):
        near = _at(front, one.ratio)
        reached = front[0].latency_ms <= one.ratio <= front[-1].latency_ms * 1.05
        ours = (f"{near.latency_ms:.2f}", f"{near.top1:.1f}") if reached else ("-", "-")
        rows.append((one.name, one.source, f"{one.ratio:.2f}", "-" if one.top1 is None else f"{one.top1:.1f}", *ours))
    return Table(
        title="Published points, and our front at no more than their latency",
        columns=("network", "source", "latency / V3-Large", "top-1, %", "ours: latency", "ours: top-1, %"),
        rows=rows,
        note="Each latency over that of V3-Large in its own source; '-' outside the range of our front, and where a "
        "top-1 could not be checked. Published points below 0.5 have fewer pixels or channels than this space offers.",
        numbers=2,
    )


def draw_front(front: Sequence[Point]) -> Drawing:
    """Draw our front and the published points over latency relative to V3-Large."""
    drawing = new_drawing(8, 4.6)
    axes = drawing.add_subplot()
    axes.plot([p.latency_ms for p in front], [p.top1 for p in front], color=ACCENT, linewidth=1.6,
              drawstyle="steps-post", label="front of the space, predicted")  # fmt: skip
    sources = dict.fromkeys(one.source for one in PUBLISHED)
    for marker, colour, source in zip("Do^", SERIES[1:], sources, strict=False):
        members = [(one, one.top1) for one in PUBLISHED if one.source == source and one.top1 is not None]
        axes.plot([one.ratio for one, _ in members], [top1 for _, top1 in members], marker, color=colour, label=source)
        for one, top1 in members:
            axes.annotate(one.name, (one.ratio, top1), xytext=(5, -9), textcoords="offset points", fontsize=7.5)
    for one in (one for one in PUBLISHED if one.top1 is None):
        axes.axvline(one.ratio, color=SERIES[0], linewidth=1, linestyle=":", label=f"{one.name}, top-1 not checked")
    axes.set_xlabel("latency on Pixel 1 / that of V3-Large in the same source")
    axes.set_ylabel("ImageNet top-1 [%]")
    tidy(axes)
    return drawing
