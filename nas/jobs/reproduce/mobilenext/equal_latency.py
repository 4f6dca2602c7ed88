"""Sandglass against inverted residual at equal predicted latency and equal training, by two recipes.

MobileNeXt's claim is that the sandglass block wins at equal cost (table 3) and that a partial shortcut costs no
accuracy (section 3.2); a published critic finds the order reversed on CIFAR. Every network is MobileNetV2's or
MobileNeXt's structure, scaled by the width whose predicted latency on Pixel 1 comes nearest a common target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import mean, stdev
from typing import Any

from latency_lut import LatencyTable, predict
from latency_lut.devices import load_device
from nas.jobs.reproduce.findings import Findings, Table
from nas.jobs.reproduce.pipeline import Context
from nas.jobs.reproduce.settings import Scale
from nas.jobs.train.prepare import prepare
from nas.jobs.train.run import run_job
from nas.jobs.train.settings import TrainSettings
from nas.runs import RunFolder
from nas.training.execution import default_execution
from searchspace.architecture import Architecture
from searchspace.reference import reference

DEVICE = "pixel"
SHARES = {"inverted residual": None, "sandglass, 1": Fraction(1), "sandglass, 1/2": Fraction(1, 2),
          "sandglass, 1/3": Fraction(1, 3), "sandglass, 1/6": Fraction(1, 6)}  # fmt: skip
_WIDTH_STEP = 0.025


@dataclass(frozen=True, kw_only=True)
class Size:
    """The networks, recipes, seeds and trainings of a scale."""

    widths: tuple[str, ...]
    blocks: tuple[str, ...]
    recipes: tuple[str, ...]
    seeds: int
    train: Mapping[str, Any]


SIZES = {
    Scale.QUICK: Size(
        widths=("0.35",),
        blocks=("inverted residual", "sandglass, 1/2"),
        recipes=("mobilenext",),
        seeds=1,
        train={"epochs": 1, "subset": 128, "batch_size": 32},
    ),
    Scale.DEFAULT: Size(
        widths=("0.35", "0.5"),
        blocks=("inverted residual", "sandglass, 1", "sandglass, 1/2", "sandglass, 1/6"),
        recipes=("mobilenetv2", "mobilenext"),
        seeds=3,
        train={"epochs": 4, "subset": 500, "batch_size": 32, "image_size": 16},
    ),
    Scale.FULL: Size(
        widths=("0.35", "0.5", "0.75", "1.0"),
        blocks=tuple(SHARES),
        recipes=("mobilenetv2", "mobilenext"),
        seeds=1,
        train={},
    ),
}


def with_identity(network: Architecture, share: Fraction) -> Architecture:
    """Return a network of sandglasses whose shortcuts add to that share of the channels."""
    return replace(network, blocks=tuple(block.with_fields(identity=share) for block in network.blocks))


def at_latency(
    base: str, share: Fraction | None, target_ms: float, table: LatencyTable
) -> tuple[str, Architecture, float]:
    """Return the width of a reference network whose predicted latency is nearest the target, the network, its latency.

    Widths are tried in steps of 1/40.
    """
    tried = []
    for step in range(8, 61):
        width = f"{step * _WIDTH_STEP:.3f}".rstrip("0").ljust(3, "0")
        network = reference(base if float(width) == 1 else f"{base}_{width}")
        network = network if share is None else with_identity(network, share)
        tried.append((width, network, predict(table, network, allow_extrapolation=True).latency_ms))
    return min(tried, key=lambda one: abs(one[2] - target_ms))


def run_equal_latency(context: Context) -> Findings:
    """Train every block at every width by every recipe over seeds, and compare at equal latency."""
    size = SIZES[context.settings.scale]
    table = load_device(DEVICE)
    total = len(size.widths) * len(size.blocks) * len(size.recipes) * size.seeds
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    done = 0
    for width in size.widths:
        target_ms = predict(table, reference(f"mobilenet_v2_{width}" if width != "1.0" else "mobilenet_v2")).latency_ms
        for block in size.blocks:
            base = "mobilenet_v2" if SHARES[block] is None else "mobilenext"
            chosen, network, latency_ms = at_latency(base, SHARES[block], target_ms, table)
            for recipe in size.recipes:
                top1 = []
                for seed in range(context.settings.seed, context.settings.seed + size.seeds):
                    name = f"{width}-{block}-{recipe}-{seed}".replace(", ", "-").replace("/", "of").replace(" ", "-")
                    top1.append(_trained(context, size, network, recipe, seed, name))
                    done += 1
                    context.report(done, total)
                key = f"V2 {width}, {block}, {recipe}"
                figures[key] = {"top1": top1, "latency_ms": latency_ms, "params": network.params}
                rows.append(
                    (f"V2 {width} ({target_ms:.1f} ms)", block, recipe, _with_spread(top1), f"{latency_ms:.1f}",
                     chosen, f"{network.params / 1e6:.2f}")
                )  # fmt: skip
    compared = Table(
        title="Top-1 at equal predicted latency on Pixel 1",
        columns=("latency of", "block", "recipe", "test top-1, %", "predicted, ms", "width", "params, M"),
        rows=rows,
        numbers=3,
        note="Mean and standard deviation over seeds where there are several. Parameters with 1,000 classes.",
    )
    return Findings(
        tables=[compared],
        text=_conclusions(figures, size),
        scaled_down=_scaled_down(size, context.settings.images) if context.settings.scale is not Scale.FULL else "",
        figures=figures,
    )


class _Silent:
    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Tell nobody: the stage's own bar moves with each training."""

    def epoch_done(self, record: Any) -> None:
        """Tell nobody."""


def _trained(context: Context, size: Size, network: Architecture, recipe: str, seed: int, name: str) -> float:
    path = context.folder / name
    kept = RunFolder(path)
    if not kept.is_complete:
        settings = TrainSettings(
            network=str(network), data=context.settings.images, recipe=recipe, seed=seed, **size.train
        )
        job = prepare(
            settings, default_execution(context.settings.torch_device), path, resume=(path / "settings.yaml").exists()
        )
        with job.folder:
            run_job(job, _Silent(), checkpoint_seconds=30, export=False)
    return float(kept.result()["test"]["top1"])


def _with_spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{values[0]:.2f}"


def _conclusions(figures: Mapping[str, Any], size: Size) -> list[str]:
    """Return, for each width and recipe, whether the best sandglass and the inverted residual are told apart."""
    lines = []
    for width in size.widths:
        for recipe in size.recipes:
            top1 = {block: figures[f"V2 {width}, {block}, {recipe}"]["top1"] for block in size.blocks}
            plain = top1.pop("inverted residual")
            best = max(top1, key=lambda block: mean(top1[block]))
            gap = mean(top1[best]) - mean(plain)
            line = f"At V2 {width} by the recipe {recipe}: {best} {gap:+.2f} points against the inverted residual"
            if len(plain) > 1:
                error = (stdev(plain) ** 2 / len(plain) + stdev(top1[best]) ** 2 / len(plain)) ** 0.5
                line += f", {'more' if abs(gap) > 2 * error else 'less'} than two standard errors ({2 * error:.2f})"
            lines.append(f"{line}.")
    return lines


def _scaled_down(size: Size, images: str) -> str:
    train = size.train
    return (
        f"images {images}, {train['subset']:,} for training, {train['epochs']} epochs; ImageNet and 200 or more epochs "
        "in the papers. First strides are dropped on small images, where the latency of the network at 224 px is not "
        "that of what is trained."
    )
