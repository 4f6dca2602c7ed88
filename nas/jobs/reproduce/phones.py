"""The best network for a CPU of 2016, a CPU in int8 of 2021 and an NPU of 2024, and what recipes do to accuracies.

Accuracy is predicted (space `mobilenetv3`), latency from the shipped tables; nothing is trained. With `--table
timm_mobile_top1.csv` (timm's accuracies of mobile checkpoints) MobileNetV4's stand beside older ones at one recipe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from latency_lut import LatencyTable, predict
from latency_lut.devices import load_device
from nas.api import search
from nas.jobs.reproduce.findings import Comparison, Findings, Table
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage
from nas.jobs.reproduce.settings import Scale
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.support.files import read_text
from searchspace.support.quantities import milliseconds

DEVICES = ("pixel1", "pixel6_int8", "galaxy_s24_npu")
SPACE = "mobilenetv3"
_TOP1 = 74.5  # predicted, which networks of a few tens of milliseconds on Pixel 1 reach
_BUDGETS_MS = {"pixel1": 60.0, "pixel6_int8": 5.5, "galaxy_s24_npu": 1.0}
_EVALUATIONS = {Scale.QUICK: 2_000, Scale.DEFAULT: 10_000, Scale.FULL: 50_000}
_MEASURED_MS = {  # published; Pixel 6 from table 6 of the MobileNetV4 paper, the NPU from Qualcomm AI Hub
    "mobilenet_v2": (64.0, 5.0, 0.594),
    "mobilenet_v3_large": (51.0, None, 0.703),
    "mobilenet_v3_small": (15.8, None, 0.562),
    "mobilenet_v4_conv_small": (None, 2.4, None),
}
# Checkpoints of timm that share one recipe (RandAugment, 3,600 epochs), evaluated at 256 pixels.
_ONE_RECIPE = {
    "mobilenetv1_100.ra4_e3600_r224_in1k": "mobilenet_v1",
    "mobilenetv3_large_100.ra4_e3600_r224_in1k": "mobilenet_v3_large",
    "mobilenetv4_conv_small.e3600_r256_in1k": "mobilenet_v4_conv_small",
}
_ONE_NETWORK = ("tf_mobilenetv3_large_100.", "mobilenetv3_large_100.")


def run_ranking(context: Context) -> Findings:
    """Set the tables' ranking of published networks beside their measured times."""
    tables = [load_device(name) for name in DEVICES]
    predicted = {name: [predict(table, reference(name)).latency_ms for table in tables] for name in _MEASURED_MS}
    rows = [
        (name, *(_beside(value, known) for value, known in zip(values, _MEASURED_MS[name], strict=True)))
        for name, values in predicted.items()
    ]
    large, v2 = predicted["mobilenet_v3_large"], predicted["mobilenet_v2"]
    ratios = [a / b for a, b in zip(large, v2, strict=True)]
    measured = ("0.80", "not published", "1.18")
    return Findings(
        comparisons=[
            Comparison(what=f"V3-Large / V2 on {device}", paper=known, ours=f"{ratio:.2f}")
            for device, known, ratio in zip(DEVICES, measured, ratios, strict=True)
        ],
        tables=[Table(title="Milliseconds, predicted (published)", columns=("network", *DEVICES), rows=rows)],
        text=[
            "On CPUs MobileNetV3-Large is faster than MobileNetV2; on the NPU it is slower. By the fitted rates its "
            "many small ops each cost a launch; depthwise convolutions, h-swish and gates cost more than arithmetic."
        ],
        figures={"v3_large_over_v2": dict(zip(DEVICES, ratios, strict=True))},
    )


def _beside(predicted_ms: float, published_ms: float | None) -> str:
    return milliseconds(predicted_ms) + ("" if published_ms is None else f" ({milliseconds(published_ms)})")


def run_best(context: Context) -> Findings:
    """Search each device's fastest network of one predicted accuracy, and price it on the others."""
    tables = [load_device(name) for name in DEVICES]
    best: dict[str, Architecture] = {}
    for number, device in enumerate(DEVICES):
        found = search(
            _BUDGETS_MS[device], device=device, space=SPACE, seed=context.settings.seed,
            evaluations=_EVALUATIONS[context.settings.scale], journal=context.folder / f"{device}.jsonl",
        )  # fmt: skip
        reached = [one for one in found.front if one.top1 >= _TOP1]
        best[device] = min(reached, key=lambda one: one.latency_ms).architecture
        context.report(number + 1.0, float(len(DEVICES)))
    priced = {device: [predict(table, network) for table in tables] for device, network in best.items()}
    own = [priced[device][number] for number, device in enumerate(DEVICES)]
    rows = [
        (f"best for {device}", *(_times_as_long(p.latency_ms, o.latency_ms) for p, o in zip(prices, own, strict=True)),
         f"{best[device].madds / 1e6:.0f} M", _gates(best[device]))
        for device, prices in priced.items()
    ]  # fmt: skip
    inside = {
        device: [p.latency_ms <= o.high_ms for p, o in zip(prices, own, strict=True)]
        for device, prices in priced.items()
    }
    return Findings(
        tables=[
            Table(
                title=f"The fastest network of at least {_TOP1} % predicted top-1, by device",
                columns=("network", *(f"{name}, ms" for name in DEVICES), "multiply-adds", "squeeze-excites"),
                rows=rows,
                note="In brackets: times as long as that device's own best.",
            )
        ],
        text=[
            f"Where the best for {device} is within the interval of the other device's best, so that the table cannot "
            "decide between them: "
            + (
                ", ".join(name for name, held in zip(DEVICES, holds, strict=True) if held and name != device)
                or "nowhere"
            )
            for device, holds in inside.items()
        ],
        scaled_down="nothing is trained; accuracies are those of Once-for-All sub-networks, as predicted",
        figures={
            "architectures": {device: str(network) for device, network in best.items()},
            "latency_ms": {device: [p.latency_ms for p in prices] for device, prices in priced.items()},
            "within_the_interval_of_the_best": inside,
        },
    )


def _times_as_long(latency_ms: float, best_ms: float) -> str:
    return f"{milliseconds(latency_ms)} ({latency_ms / best_ms:.2f})"


def _gates(network: Architecture) -> str:
    return str(sum(op.kind.value == "scale" for layer in network.ops() for op in layer.ops))


def run_recipes(context: Context) -> Findings:
    """Set networks of one recipe side by side, and one network under several recipes."""
    if context.settings.table is None:
        return Findings(text=["Left out: it needs timm's accuracies, --table timm_mobile_top1.csv."])
    checkpoints = _checkpoints(Path(context.settings.table))
    tables = [load_device(name) for name in DEVICES]
    same = [
        (network, f"{checkpoints[name, 256]:.1f}", *_times(tables, network))
        for name, network in _ONE_RECIPE.items()
        if (name, 256) in checkpoints
    ]
    others = sorted(
        (top1, name.partition(".")[2]) for (name, size), top1 in checkpoints.items()
        if size == 224 and name.startswith(_ONE_NETWORK)
    )  # fmt: skip
    return Findings(
        tables=[
            Table(
                title="One recipe, images of 256 pixels",
                columns=("network", "top-1, %", *(f"{name}, ms" for name in DEVICES)),
                rows=same,
                note="timm's checkpoints of 3,600 epochs; V4 Conv-S was also trained at 256 pixels, the others at 224.",
            ),
            Table(
                title="One network (MobileNetV3-Large, 224 pixels), several recipes",
                columns=("recipe", "top-1, %"),
                rows=[(recipe, f"{top1:.1f}") for top1, recipe in others],
            ),
        ],
        text=["Recipes move one network by as much as architectures differ: compare only at equal recipe."],
        figures={"one_recipe": {row[0]: float(row[1]) for row in same}, "recipes_pct": [top1 for top1, _ in others]},
    )


def _times(tables: Sequence[LatencyTable], network: str) -> list[str]:
    at_256 = reference(network).with_resolution(256)
    return [milliseconds(predict(table, at_256).latency_ms) for table in tables]


def _checkpoints(path: Path) -> dict[tuple[str, int], float]:
    """Return top-1 in percent by checkpoint and image size in pixels."""
    lines = [line for line in read_text(path, "accuracies").splitlines(keepends=True) if not line.startswith("#")]
    rows = csv.DictReader(io.StringIO("".join(lines)))
    return {(row["checkpoint"], int(row["img_size"])): float(row["top1"]) for row in rows}


PHONES = Experiment(
    name="phones",
    title="One network for a CPU, a CPU in int8 and an NPU?",
    about="What is fastest at equal predicted accuracy on Pixel 1, Pixel 6 (int8) and the Galaxy S24's NPU.",
    stages=(
        Stage("ranking", "Published networks: the CPU's ranking is not the NPU's", run_ranking),
        Stage("best", "The best network of each device, priced on the others", run_best),
        Stage("recipes", "Architecture against recipe", run_recipes),
    ),
)
