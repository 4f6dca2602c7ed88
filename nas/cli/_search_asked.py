"""What `nas search` is asked for: by its options, or by the run it goes on with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from nas.cli._head import refuse_classes
from nas.cli._options import Given
from nas.cli._run_options import EngineOptions, StartedRun, run_to_resume
from nas.jobs.search.settings import NNI_PARALLEL, TRAIN, SearchSettings, default_evaluations, parse_budgets
from nas.options import BUDGET, ENGINE, OUTPUT, Option, options_of
from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """The devices and their budgets, as they are written."""

    budget: Annotated[
        str | None, Option("Latency to keep, with its unit: 60ms, 0.06s.", panel=BUDGET, metavar="TIME")
    ] = None
    device: Annotated[
        tuple[str, ...],
        Option(
            "A phone from `nas devices`, or a table file. Several, each with its budget: pixel4=20ms.",
            panel=BUDGET,
            metavar="DEVICE[=TIME]",
            otherwise=SearchSettings.device,
        ),
    ] = (SearchSettings.device,)


@dataclass(frozen=True, kw_only=True)
class SearchEngineOptions(EngineOptions):
    """Where networks are scored."""

    trial_timeout: Annotated[
        float | None,
        Option("End and retry the scoring of a network after this long.", panel=ENGINE, metavar="SECONDS"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SearchOutput:
    """What is done with the network found."""

    netadapt: Annotated[
        str | None, Option("Then slim the network found to 51ms, or to 75%.", panel=OUTPUT, metavar="TARGET")
    ] = None
    export: Annotated[
        bool, Option("Write model.tflite and time it on this machine.", panel=OUTPUT, names="--export/--no-export")
    ] = True


@dataclass(frozen=True)
class Wanted:
    """What a search is asked for; `images` is None without --data. `engine` does not decide the result."""

    settings: SearchSettings
    images: SupernetSettings | None
    export: bool
    netadapt: str | None
    engine: SearchEngineOptions


def asked(given: Given) -> Wanted:
    """Return what a search is asked for.

    Raises UserError for a budget that is missing or cannot be read, options that need others, and where a run
    goes on, for options that would change it.
    """
    free = [field.name for field in fields(SearchEngineOptions)]
    run = run_to_resume(given, "search", free=("export", *free))
    wanted = _by_options(given) if run is None else _by_run(given, run)
    if wanted.engine.engine == "nni" and wanted.images is not None and wanted.settings.evaluator is None:
        raise UserError(
            "--engine nni starts a process for each network, and with --data each would load the supernet again: add "
            "--evaluator train, or use --engine pool or ray"
        )
    return wanted


def _by_options(given: Given) -> Wanted:
    data, engine, output = given["data"], given.make(SearchEngineOptions), given.make(SearchOutput)
    if data is None:
        _refuse_image_options(given)
    refuse_classes(given["head"], given["classes"])
    device, budget_ms, also = parse_budgets(given.make(BudgetOptions).device, given["budget"])
    nni = engine.engine == "nni"
    chosen = {"device": device, "budget_ms": budget_ms, "also": also}
    if given["evaluations"] is None:
        chosen["evaluations"] = default_evaluations(images=data is not None, nni=nni, evaluator=given["evaluator"])
    if given["parallel"] is None and nni:
        chosen["parallel"] = NNI_PARALLEL
    if given["strategy"] is None and given["mode"] == DIFFERENTIABLE:
        chosen["strategy"] = "learnt"
    images = None
    if data is not None:
        chosen["space"], weights = _pretrained(given["space"], given["weights"], given["image_size"])
        images = given.make(SupernetSettings, weights=weights)
    return Wanted(given.make(SearchSettings, **chosen), images, output.export, output.netadapt, engine)


def _by_run(given: Given, run: StartedRun) -> Wanted:
    """Return what a run was started with, and where it goes on now, if that was said."""
    output = run.beside(SearchOutput, given)
    images = run.made(SupernetSettings) if "data" in run.settings else None
    engine = run.beside(SearchEngineOptions, given)
    return Wanted(run.made(SearchSettings), images, output.export, output.netadapt, engine)


_TRAIN_OPTIONS = ("trial_epochs", "early_stopping")


def _refuse_image_options(given: Given) -> None:
    """Raise UserError when an option was given that means something only with --data."""
    of_images = options_of(SupernetSettings).keys() - options_of(SearchSettings).keys()
    options = given.written([*of_images, *_TRAIN_OPTIONS, *(["evaluator"] if given["evaluator"] == TRAIN else [])])
    if options:
        raise UserError(
            f"{options}: only a search on images has a supernet to train; add --data, such as --data digits"
        )


def _pretrained(space: str | None, weights: str | None, image_size: int | None) -> tuple[str, str | None]:
    """Return the space to search on images and the weights to start from: those given, or those of `around:RUN`."""
    from searchspace.space import AROUND

    if weights is None and not (space or "").startswith(AROUND):
        return space or "mobile", None
    from nas.supernets.pretrained import space_and_weights

    return space_and_weights(space, weights, image_size, "mobile")
