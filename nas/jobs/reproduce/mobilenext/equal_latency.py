"""Sandglass against inverted residual at equal predicted latency and equal training, by two recipes.

MobileNeXt's claim is that the sandglass block wins at equal cost (table 3) and that a partial shortcut costs no
accuracy (section 3.2); a published critic finds the order reversed on CIFAR. Every network is MobileNetV2's or
MobileNeXt's structure, scaled by the width whose predicted latency on Pixel 1 comes nearest a common target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from nas.jobs.reproduce.findings import Findings, Table
from nas.jobs.reproduce.mobilenext.candidates import PLAIN, SHARES, Candidate, candidates
from nas.jobs.reproduce.mobilenext.differences import differences
from nas.jobs.reproduce.pipeline import Context
from nas.jobs.reproduce.settings import Scale, require_images
from nas.jobs.reproduce.trainings import train_once
from nas.jobs.train.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Size:
    """The networks, recipes, seeds and trainings of a scale.

    `learning_rates` replace those of the recipes, which are for hundreds of epochs in large batches.
    """

    widths: tuple[str, ...]
    blocks: tuple[str, ...]
    recipes: tuple[str, ...]
    seeds: int
    train: Mapping[str, Any]
    learning_rates: Mapping[str, float] = field(default_factory=dict)


SIZES = {
    Scale.QUICK: Size(
        widths=("0.35",),
        blocks=(PLAIN, "sandglass, 1/2"),
        recipes=("mobilenext",),
        seeds=1,
        train={"epochs": 1, "subset": 128, "batch_size": 32},
    ),
    Scale.DEFAULT: Size(
        widths=("0.35", "0.5"),
        blocks=(PLAIN, "sandglass, 1", "sandglass, 1/2", "sandglass, 1/6"),
        recipes=("mobilenetv2", "mobilenext"),
        seeds=3,
        train={"epochs": 6, "subset": 1000, "batch_size": 32, "image_size": 16},
        # Of single trainings of MobileNetV2 0.35: RMSProp at the published 0.045 for 96 images, so 0.015, is at chance
        # after 4 epochs (12.0 %), at 0.001 at 25.6 % after 6; SGD at its own rate, so 0.00625, at 22.4 %.
        learning_rates={"mobilenetv2": 0.001},
    ),
    Scale.FULL: Size(
        widths=("0.35", "0.5", "0.75", "1.0"),
        blocks=tuple(SHARES),
        recipes=("mobilenetv2", "mobilenext"),
        seeds=1,
        train={},
    ),
}


def run_equal_latency(context: Context) -> Findings:
    """Train every block at every width by every recipe over seeds, and compare at equal latency."""
    size = SIZES[context.settings.scale]
    images = require_images(context.settings)
    repeated = context.settings.repeated(size.seeds)
    networks = candidates(size.widths, size.blocks)
    # Seeds outermost: a run that is cut short has every network with fewer repetitions.
    todo = [(seed, one, recipe) for seed in repeated for one in networks for recipe in size.recipes]
    top1: dict[tuple[Candidate, str], list[float]] = {}
    for done, (seed, one, recipe) in enumerate(todo):
        settings = TrainSettings(
            network=str(one.network), data=images, recipe=recipe, seed=seed,
            learning_rate=size.learning_rates.get(recipe), **size.train,
        )  # fmt: skip
        path = context.folder / one.folder(recipe, seed)
        result = train_once(context, path, settings, done=done, total=len(todo))
        top1.setdefault((one, recipe), []).append(result["test"]["top1"])
    trained: dict[str, Any] = {
        one.key(recipe): {"top1": found, "latency_ms": one.latency_ms, "params": one.network.params}
        for (one, recipe), found in top1.items()
    }
    gaps = differences(top1)
    return Findings(
        tables=[_table(top1), gaps.table()],
        text=[_reach(top1), *gaps.conclusions()],
        scaled_down=_scaled_down(size, images, len(repeated)) if context.settings.scale is not Scale.FULL else "",
        figures={"trained": trained, "differences": gaps.figures()},
    )


def _table(top1: Mapping[tuple[Candidate, str], Sequence[float]]) -> Table:
    rows = [
        (f"V2 {one.width} ({one.target_ms:.1f} ms)", one.block, recipe, _with_spread(found), f"{one.latency_ms:.1f}",
         one.multiplier, f"{one.network.params / 1e6:.2f}")
        for (one, recipe), found in top1.items()
    ]  # fmt: skip
    return Table(
        title="Top-1 at equal predicted latency on Pixel 1",
        columns=("latency of", "block", "recipe", "test top-1, %", "predicted, ms", "width", "params, M"),
        rows=rows,
        numbers=3,
        note="Mean and standard deviation over seeds where there are several. Parameters with 1,000 classes.",
    )


def _reach(top1: Mapping[tuple[Candidate, str], Sequence[float]]) -> str:
    values = [value for found in top1.values() for value in found]
    return f"Single trainings reach {min(values):.1f} to {max(values):.1f} % of the test images."


def _with_spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _scaled_down(size: Size, images: str, seeds: int) -> str:
    train = size.train
    return (
        f"images {images}, {train['subset']:,} for training, {train['epochs']} epochs, {seeds} seed(s); ImageNet and "
        "200 or more epochs in the papers. First strides are dropped on small images, where the latency of the network "
        "at 224 px is not that of what is trained."
    )
