"""MobileNeXt's search experiment (Zhou et al., arXiv 2007.02269, table 13): the sandglass block in the space of DARTS.

The paper adds the sandglass block, or the inverted residual, to DARTS' operations and finds cells of 2.98 and 3.26 %
test error against 3.11 %. It counts seven operations in every row, so that the block may also have taken the place of
one; both readings are spaces here. Random cells, trained alike, stand beside what is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import numpy as np

from nas.jobs.cells.run import prepare_search, prepare_training, run_search, run_training
from nas.jobs.cells.settings import CELL_SPACES, CellSearchSettings, CellTrainSettings
from nas.jobs.compare.run import interval
from nas.jobs.reproduce.findings import Comparison, Findings, Table
from nas.jobs.reproduce.pipeline import Context
from nas.jobs.reproduce.settings import ReproduceSettings, Scale, require_cell_images
from nas.jobs.reproduce.trainings import StageBar
from nas.runs import RunPlace
from nas.training.execution import Execution, default_execution
from searchspace.cells import CellSpace


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the searches and trainings of a scale are; `spaces` in the order of the table."""

    spaces: tuple[str, ...]
    seeds: int
    random_cells: int
    search: Mapping[str, Any]
    train: Mapping[str, Any]


SIZES = {
    Scale.QUICK: Size(
        spaces=("darts", "darts+sandglass"),
        seeds=1,
        random_cells=1,
        search={"epochs": 1, "cells": 3, "channels": 4, "batch_size": 32, "subset": 200},
        train={"epochs": 1, "cells": 3, "channels": 4, "batch_size": 32, "subset": 200, "auxiliary": 0.0},
    ),
    Scale.DEFAULT: Size(
        spaces=("darts", "darts+ir", "darts+sandglass"),
        seeds=3,
        random_cells=3,
        search={"epochs": 5, "cells": 4, "channels": 8, "batch_size": 32, "subset": 1500, "image_size": 16,
                "learning_rate": 3e-3},
        train={"epochs": 10, "cells": 5, "channels": 8, "batch_size": 32, "subset": 2000, "image_size": 16,
               "auxiliary": 0.0, "drop_path": 0.0, "cutout": 0.25},
    ),
    Scale.FULL: Size(
        spaces=("darts", "darts+ir", "darts+sandglass", "darts-ir", "darts-sandglass"),
        seeds=4,
        random_cells=8,
        search={"order": "second"},
        train={},
    ),
}  # fmt: skip

# Table 13: test error in per cent, parameters in millions; comparisons: DARTS' and others' random search.
PUBLISHED = {
    "darts": ("3.11 %, 3.25 M", "DARTS"),
    "darts+ir": ("3.26 %, 3.29 M", "DARTS with the inverted residual added"),
    "darts+sandglass": ("2.98 %, 2.45 M", "DARTS with the sandglass added"),
    "darts-ir": ("3.26 %, 3.29 M", "DARTS, inverted residual in place of sep_conv_5x5"),
    "darts-sandglass": ("2.98 %, 2.45 M", "DARTS, sandglass in place of sep_conv_5x5"),
}
_RANDOM_PUBLISHED = "3.29 ± 0.15 %, 3.2 M"  # Liu et al. 2018, table 1


def run_cells(context: Context) -> Findings:
    """Search and train cells of each space over seeds, and random cells beside them."""
    size = SIZES[context.settings.scale]
    context = replace(context, settings=replace(context.settings, data=require_cell_images(context.settings)))
    repeated = context.settings.repeated(size.seeds)
    random_cells = context.settings.seeds or size.random_cells
    execution = default_execution(context.settings.torch_device)
    total = len(size.spaces) * len(repeated) * 2 + random_cells
    done = 0
    found: dict[str, list[dict[str, Any]]] = {}
    for space in size.spaces:
        for seed in repeated:
            searched = _searched(context, size, space, seed, execution, (done, total))
            name = f"{space}-{seed}"
            trained = _trained(context, size, searched["network"], name, seed, execution, (done + 1, total))
            found.setdefault(space, []).append(_row(searched, trained))
            done += 2
            context.report(done, total)
    for number in range(random_cells):
        network = str(_random_network(context.settings.seed, number))
        seed = context.settings.seed + number
        trained = _trained(context, size, network, f"random-{number}", seed, execution, (done, total))
        found.setdefault("random cells", []).append(_row(None, trained))
        done += 1
        context.report(done, total)
    return _findings(found, size, len(repeated), context.settings)


def _searched(
    context: Context, size: Size, space: str, seed: int, execution: Execution, bar: tuple[int, int]
) -> dict[str, Any]:
    settings = CellSearchSettings(data=context.settings.images, space=space, seed=seed, **size.search)
    path = context.folder / f"search-{space}-{seed}"
    job = prepare_search(settings, execution, RunPlace(path), resume=(path / "settings.yaml").exists())
    with job.folder:
        return run_search(job, StageBar(context, *bar, settings.epochs))


def _trained(
    context: Context, size: Size, network: str, name: str, seed: int, execution: Execution, bar: tuple[int, int]
) -> dict[str, Any]:
    settings = CellTrainSettings(network=network, data=context.settings.images, seed=seed, **size.train)
    path = context.folder / f"train-{name}"
    job = prepare_training(settings, execution, RunPlace(path), resume=(path / "settings.yaml").exists())
    with job.folder:
        return run_training(job, StageBar(context, *bar, settings.recipe().epochs))


def _random_network(seed: int, number: int) -> Any:
    space = CellSpace(CELL_SPACES["darts"])
    return space.decode(space.sample(np.random.default_rng([seed, number, 0x13]), 1)[0])


def _row(searched: Mapping[str, Any] | None, trained: Mapping[str, Any]) -> dict[str, Any]:
    """Return one network's figures; parameters are those of the paper's 20 cells of 36 channels."""
    from searchspace.cells import parse_cells

    network = parse_cells(str(trained["network"]))
    full = CellSpace().network(network.normal, network.reduction)
    return {
        "error": trained["error"],
        "params": full.params,
        "skips": network.normal.skips + network.reduction.skips,
        "search_seconds": searched["seconds"] if searched is not None else 0.0,
        "network": str(network),
    }


def _findings(
    found: Mapping[str, Sequence[Mapping[str, Any]]], size: Size, seeds: int, settings: ReproduceSettings
) -> Findings:
    rows, comparisons = [], []
    for space, entries in found.items():
        errors, params = [one["error"] for one in entries], [one["params"] / 1e6 for one in entries]
        paper, title = PUBLISHED.get(space, (_RANDOM_PUBLISHED, "random cells of DARTS' space"))
        ours = f"{_with_interval(errors)} %, {mean(params):.2f} M"
        comparisons.append(
            Comparison(what=title, paper=paper, ours=ours, why=_WHY if settings.scale is not Scale.FULL else "")
        )
        skips = mean(one["skips"] for one in entries) / 16
        minutes = mean(one["search_seconds"] for one in entries) / 60
        rows.append(
            (space, _with_interval(errors), _with_interval(params), f"{skips:.0%}", f"{minutes:.1f}", str(len(entries)))
        )
    table = Table(
        title="Cells found, and random cells trained alike",
        columns=("space", "test error, %", "params, M (20 cells of 36)", "skip share", "search, min", "networks"),
        rows=rows,
        note="Mean with its 95 % interval over seeds, where there are at least two. Parameters are of the cells in the "
        "paper's network, without auxiliary classifier.",
    )
    return Findings(
        comparisons=comparisons,
        tables=[table],
        text=_conclusions(found),
        scaled_down=_scaled_down(size, seeds, settings.images) if settings.scale is not Scale.FULL else "",
        figures={space: list(entries) for space, entries in found.items()},
    )


_WHY = "trained for minutes, not days: compare rank and parameters only"


def _with_interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {_half_interval(values):.2f}"


def _half_interval(values: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of the mean of at least two values."""
    found = interval(np.array(values))
    assert found is not None
    return (found[1] - found[0]) / 2


def _conclusions(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return in words which differences this run shows and which it does not."""
    by_params = sorted(found, key=lambda space: mean(one["params"] for one in found[space]))
    by_error = sorted(found, key=lambda space: mean(one["error"] for one in found[space]))
    lines = [
        f"By parameters, smallest first: {', '.join(by_params)}. By test error, lowest first: {', '.join(by_error)}.",
        "The paper's 0.13 points between DARTS and DARTS with sandglass are one seed's standard deviation of DARTS "
        "(0.09 to 0.14 points); its quarter fewer parameters are the part that a handful of seeds can confirm.",
    ]
    best, worst = by_error[0], by_error[-1]
    errors = {name: [one["error"] for one in found[name]] for name in (best, worst)}
    if all(len(values) > 1 for values in errors.values()):
        gap = mean(errors[worst]) - mean(errors[best])
        half = sum(_half_interval(v) ** 2 for v in errors.values()) ** 0.5
        decided = "is larger" if gap > half else "is not larger"
        lines.append(f"The widest gap in error here, {gap:.2f} points, {decided} than its 95 % interval, ±{half:.2f}.")
    return lines


def _scaled_down(size: Size, seeds: int, images: str) -> str:
    search, train = size.search, size.train
    return (
        f"images {images}; searches of {search['epochs']} epochs on {search['subset']:,} images with "
        f"{search['cells']} cells of {search['channels']} channels (paper: 50, 50,000, 8 of 16); "
        f"trainings of {train['epochs']} epochs on {train['subset']:,} images with {train['cells']} cells of "
        f"{train['channels']} channels (600, 50,000, 20 of 36), first-order gradients, {seeds} seed(s)."
    )
