"""Searching and training cells in a run folder; both resume to the same result after being killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.data import Data, Split, load_data
from nas.jobs.cells.page import search_page, training_page
from nas.jobs.cells.settings import CELL_FILE, CHECKPOINT_SECONDS, CellSearchSettings, CellTrainSettings, resolve_cells
from nas.jobs.epochs import EpochLog
from nas.report.cell_picture import draw_cells
from nas.report.drawing import write_picture
from nas.runs import RunFolder, RunPlace
from nas.runs.folder import REPORT
from nas.supernets.bilevel import search_cells
from nas.supernets.bilevel_settings import darts_search
from nas.supernets.cell_training import CellTraining, cell_steps
from nas.training.checkpoint import Checkpoints
from nas.training.evaluation import chance_warning, evaluate, evaluated_on_test
from nas.training.execution import Execution
from nas.training.history import History, Observer
from nas.training.loop import train
from searchspace.cells import CellNetwork
from searchspace.cells.modules import build_cells
from searchspace.cells.supernet import build_cell_supernet

CHECKPOINT = "checkpoint.pt"
PICTURE = "cells.png"


@dataclass(frozen=True, kw_only=True)
class CellSearchJob:
    """A cell search that is ready to start: settings checked, images loaded, folder open."""

    settings: CellSearchSettings
    execution: Execution
    data: Data
    folder: RunFolder
    resume: bool


@dataclass(frozen=True, kw_only=True)
class CellTrainJob:
    """A cell network's training that is ready to start."""

    settings: CellTrainSettings
    execution: Execution
    data: Data
    tested: Split
    network: CellNetwork
    folder: RunFolder
    resume: bool


def prepare_search(
    settings: CellSearchSettings, execution: Execution, out: RunPlace, *, resume: bool = False
) -> CellSearchJob:
    """Load the images and open the folder; raises UserError for whatever is wrong with either."""
    data = load_data(settings.data, settings.image_size, settings.seed, settings.subset)
    folder = _opened(out, asdict(settings), "cells search", resume)
    return CellSearchJob(settings=settings, execution=execution, data=data, folder=folder, resume=resume)


def run_search(
    job: CellSearchJob, observer: Observer | None = None, *, checkpoint_seconds: float = CHECKPOINT_SECONDS
) -> dict[str, Any]:
    """Search, write cell, picture, page and result into the folder, and return the result.

    Raises what `nas.supernets.bilevel.search_cells` raises.
    """
    settings, data, folder = job.settings, job.data, job.folder
    if folder.is_complete:
        return folder.result()
    space = settings.cell_space(data.image_size, len(data.classes))
    supernet = build_cell_supernet(
        space, seed=settings.seed, cells=settings.cells, channels=settings.channels, partial=settings.partial
    )
    recipe = replace(darts_search(settings.epochs), batch_size=settings.batch_size)
    history = search_cells(
        supernet,
        data,
        recipe,
        settings.bilevel(),
        seed=settings.seed,
        execution=job.execution,
        checkpoints=_checkpoints(folder, job.resume, checkpoint_seconds),
        observer=EpochLog(folder, observer),
    )
    found = supernet.discretised()
    result = {
        "space": settings.space,
        "space_size": space.count(),
        "network": str(found),
        "params": found.params,
        "madds": found.madds,
        "skips": found.normal.skips + found.reduction.skips,
        "images": len(data.train),
        "search_network": f"{settings.cells} cells of {settings.channels} channels",
        "seconds": sum(record.seconds for record in history.epochs),
        "supernet": asdict(history.final.search),
        "warnings": _warnings(history, data),
    }
    folder.write(CELL_FILE, f"{found}\n")
    write_picture(folder, PICTURE, lambda: draw_cells(found))
    folder.write(REPORT, search_page(result, history, found, asdict(settings)))
    folder.finish(result)
    return result


def prepare_training(
    settings: CellTrainSettings, execution: Execution, out: RunPlace, *, resume: bool = False
) -> CellTrainJob:
    """Read the network, load the images and open the folder; raises UserError for whatever is wrong with them."""
    given = resolve_cells(settings.network)
    data = load_data(settings.data, settings.image_size, settings.seed, settings.subset)
    network = replace(
        given,
        resolution=data.image_size,
        classes=len(data.classes),
        cells=settings.cells or given.cells,
        channels=settings.channels or given.channels,
    )
    folder = _opened(out, asdict(settings), "cells train", resume)
    return CellTrainJob(
        settings=settings,
        execution=execution,
        data=data,
        tested=data.test_split(),
        network=network,
        folder=folder,
        resume=resume,
    )


def run_training(
    job: CellTrainJob, observer: Observer | None = None, *, checkpoint_seconds: float = CHECKPOINT_SECONDS
) -> dict[str, Any]:
    """Train, test once, write picture, page and result into the folder, and return the result.

    Raises what `nas.training.train` raises.
    """
    settings, data, folder = job.settings, job.data, job.folder
    if folder.is_complete:
        return folder.result()
    recipe = settings.recipe()
    training = CellTraining(build_cells(job.network, seed=settings.seed, auxiliary=settings.auxiliary > 0))
    steps = recipe.epochs * data.train.steps_per_epoch(min(recipe.batch_size, len(data.train)))
    regularisation = {name: getattr(settings, name) for name in ("drop_path", "auxiliary", "cutout")}
    history = train(
        training,
        data,
        recipe,
        seed=settings.seed,
        execution=job.execution,
        checkpoints=_checkpoints(folder, job.resume, checkpoint_seconds),
        observer=EpochLog(folder, observer),
        take_step=cell_steps(**regularisation, total_steps=steps),
        identity={"cells": str(job.network), "regularisation": str(regularisation)},
    )
    test = evaluate(training, job.tested.batches(job.execution.evaluation_batch))
    warning = chance_warning(test, len(data.classes))
    result = {
        "network": str(job.network),
        "params": job.network.params,
        "madds": job.network.madds,
        "train_images": len(data.train),
        "data": settings.data,
        "evaluated": evaluated_on_test(job.network, settings.data),
        "image_size": data.image_size,
        "test": asdict(test),
        "search": asdict(history.final.search),
        "error": 100 - test.top1,
        "seconds": sum(record.seconds for record in history.epochs),
        "warnings": [warning] if warning else [],
    }
    write_picture(folder, PICTURE, lambda: draw_cells(job.network))
    folder.write(REPORT, training_page(result, history, job.network, asdict(settings)))
    folder.finish(result)
    return result


def _opened(out: RunPlace, settings: Mapping[str, Any], job: str, resume: bool) -> RunFolder:
    return RunFolder.reopen(out, settings) if resume else RunFolder.create(out, settings, job)


def _checkpoints(folder: RunFolder, resume: bool, every_seconds: float) -> Checkpoints:
    return Checkpoints(path=folder.file(CHECKPOINT), every_seconds=every_seconds, resume=resume)


def _warnings(history: History, data: Data) -> list[str]:
    warning = chance_warning(history.final.accuracy, len(data.classes))
    return [f"the search network: {warning}"] if warning else []
