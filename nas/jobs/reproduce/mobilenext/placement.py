"""Where a search over both block families puts sandglasses, by phone and budget, and how far its supernet is to be
believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

from nas.jobs.rank.run import open_inputs, rank
from nas.jobs.rank.settings import RankSettings
from nas.jobs.reproduce.findings import Findings, Table
from nas.jobs.reproduce.pipeline import Context, opened
from nas.jobs.reproduce.settings import Scale, require_images
from nas.jobs.search.prepare import prepare_search
from nas.jobs.search.run import run_to_folder
from nas.jobs.search.scoring import Report, Watch
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.supernet_scoring import open_scoring
from nas.runs import RunFolder
from nas.supernets.settings import SupernetSettings
from searchspace.architecture import Architecture
from searchspace.support.errors import UserError
from searchspace.yaml_io import load_architecture

SPACE = "mobile"
_RANKING_PARTS = 3
DEVICES = ("pixel", "pixel4", "pixel4_int8")


@dataclass(frozen=True, kw_only=True)
class Size:
    """The searches and the supernet of a scale; `alone` networks are trained alone to judge the supernet."""

    devices: tuple[str, ...]
    budgets_ms: tuple[float, ...]
    evaluations: int
    alone: int
    alone_epochs: int
    supernet: Mapping[str, Any]


SIZES = {
    Scale.QUICK: Size(
        devices=("pixel",),
        budgets_ms=(60.0,),
        evaluations=4,
        alone=10,
        alone_epochs=1,
        supernet={"epochs": 1, "winner_epochs": 1, "subset": 100, "search_images": 20, "batch_size": 32},
    ),
    Scale.DEFAULT: Size(
        devices=DEVICES,
        budgets_ms=(15.0, 30.0, 60.0),
        evaluations=40,
        alone=24,
        alone_epochs=4,
        supernet={"epochs": 15, "winner_epochs": 1, "subset": 1000, "search_images": 100, "image_size": 16},
    ),
    Scale.FULL: Size(
        devices=DEVICES,
        budgets_ms=(15.0, 30.0, 60.0),
        evaluations=5000,
        alone=24,
        alone_epochs=150,
        supernet={"epochs": 300, "winner_epochs": 150, "search_images": 10_000},
    ),
}


def run_placement(context: Context) -> Findings:
    """Train one supernet of `mobile`, judge it on stand-alone networks, and search it for every phone and budget."""
    size = SIZES[context.settings.scale]
    asked = context.settings
    images = SupernetSettings(
        data=require_images(asked), seed=asked.seed, torch_device=asked.torch_device, **size.supernet
    )
    searches = [(device, budget_ms) for device in size.devices for budget_ms in size.budgets_ms]
    total = 1 + len(searches)
    ranking = _ranked(context, size, images, total)
    context.report(1, total)
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {"tau": ranking["correlations"]["supernet loss"]["all"]["kendall"]}
    for number, (device, budget_ms) in enumerate(searches, start=1):
        outcome = _searched(context, size, images, device, budget_ms)
        context.report(1 + number, total)
        if isinstance(outcome, str):
            rows.append((device, f"{budget_ms:g} ms", "none", outcome))
            continue
        counts = Counter(type(block).__name__ for block in outcome.blocks)
        share = counts["Sandglass"] / len(outcome.blocks)
        figures[f"{device} {budget_ms:g} ms"] = share
        rows.append((device, f"{budget_ms:g} ms", f"{share:.0%}", _by_stage(outcome)))
    table = Table(
        title="Sandglasses in the networks found",
        columns=("phone", "budget", "share of blocks", "blocks by the size of their maps"),
        rows=rows,
        numbers=4,
        note="IR inverted residual, SG sandglass.",
    )
    return Findings(
        tables=[table],
        text=[
            f"The supernet that decided has a Kendall tau of {figures['tau']:.2f} with {size.alone} networks trained "
            "alone; below about 0.6 its choices between blocks of equal cost are close to chance.",
        ],
        scaled_down=(
            f"one supernet trained for {images.epochs} epochs on {images.subset or 'all'} images of {images.data}, "
            f"searches of {size.evaluations} networks."
        ),
        figures=figures,
    )


def _ranked(context: Context, size: Size, images: SupernetSettings, total: int) -> dict[str, Any]:
    path = context.folder / "supernet"
    kept = RunFolder(path)
    if kept.is_complete:
        return kept.result()
    settings = RankSettings(space=SPACE, supernet=images, networks=size.alone, alone_epochs=size.alone_epochs)
    inputs = open_inputs(settings)
    given = settings.as_dict()
    with opened(path, given, "rank") as folder:
        return rank(settings, inputs, folder, _watch(context, total))


def _watch(context: Context, total: int) -> Watch:
    """Return what moves the stage's bar over its first part: training, scoring and the networks alone, a third each."""
    begun = count()

    def stage(name: str) -> AbstractContextManager[Report]:
        number = next(begun)
        return nullcontext(lambda done, of: context.report((number + done / of) / _RANKING_PARTS, total))

    return Watch(stage=stage)


def _searched(
    context: Context, size: Size, images: SupernetSettings, device: str, budget_ms: float
) -> Architecture | str:
    """Return what a search finds, or in words why there is nothing to find."""
    path = context.folder / f"{device}-{budget_ms:g}ms"
    kept = RunFolder(path)
    if not kept.is_complete:
        start = str(context.folder / "supernet")
        shared = SupernetSettings(**(images.as_dict() | {"start": start, "epochs": 0}))
        settings = SearchSettings(
            budget_ms=budget_ms, device=device, space=SPACE, evaluations=size.evaluations,
            seed=context.settings.seed, extrapolate=True,
        )  # fmt: skip
        try:
            prepared = prepare_search(settings, open_scoring(shared, SPACE))
        except UserError as error:
            return str(error)
        chosen = settings.as_dict() | shared.as_dict()
        with opened(path, chosen, "search") as folder:
            try:
                run_to_folder(prepared, folder, export=False)
            except UserError as error:
                return str(error)
    return load_architecture(kept.file("architecture.yaml"))


def _by_stage(network: Architecture) -> str:
    """Return the kinds of block by the size of the map they read, such as `56: IR IR, 28: SG`."""
    found: dict[int, list[str]] = {}
    for placed in network.placed_blocks():
        short = {"Sandglass": "SG", "InvertedResidual": "IR"}.get(type(placed.block).__name__, "other")
        found.setdefault(placed.in_size, []).append(short)
    return ", ".join(f"{size}: {' '.join(kinds)}" for size, kinds in found.items())
