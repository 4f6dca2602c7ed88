"""`nas search`: find the most accurate network within a latency budget."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    JsonOption,
    ResumeOption,
    SeedOption,
    TorchDeviceOption,
    note_console,
    note_versions,
    print_json,
    print_warnings,
)
from nas.cli._errors import resumable
from nas.cli._head import ClassesOption, HeadOption, refuse_classes
from nas.cli._supernet_options import (
    DataOption,
    EpochsOption,
    FromScratchOption,
    ImageSizeOption,
    KernelTransformOption,
    SearchImagesOption,
    SubsetOption,
    SupernetOption,
    TeacherEpochsOption,
    TeacherShareOption,
    WarmUpOption,
    WeightsOption,
    WinnerEpochsOption,
)
from nas.supernets.settings import SupernetSettings

if TYPE_CHECKING:
    from nas.engines import Engine
    from nas.jobs.search.scoring import Scoring
    from nas.jobs.search.settings import SearchSettings
    from nas.jobs.slim.settings import SlimSettings

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="With --resume: the run to go on with, no other option needed."),
]
BudgetOption = Annotated[
    str | None,
    typer.Option("--budget", metavar="TIME", help="Latency to keep, with its unit: 60ms, 0.06s.", show_default=False),
]
DevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="DEVICE[=TIME]",
        help="A phone from `nas devices`, or a table file; default: pixel. Several, each with its budget: pixel4=20ms.",
    ),
]
FrontOption = Annotated[
    list[str] | None,
    typer.Option(
        "--front",
        metavar="METRIC",
        help="What the front trades against top-1: latency (default), params, madds, latency@DEVICE, "
        "peak_activation_bytes; may be given again.",
    ),
]
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="A space from `nas spaces`, a YAML file of your own, or around:NETWORK; default: mobilenetv3, with "
        "--data mobile, with --weights around their network.",
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="evolution, reinforce, random, tpe, optuna:SAMPLER, learnt or module:Class of your own; "
        "default: evolution, after differentiable training learnt.",
    ),
]
EvaluationsOption = Annotated[
    int | None,
    typer.Option(
        "--evaluations",
        metavar="N",
        help="Networks to evaluate; default: 50,000, with --data 100, on nni 30.",
    ),
]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/NAME.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the run; default: from device, budget and space.")
]
ExtrapolateOption = Annotated[
    bool, typer.Option("--extrapolate", help="Estimate operations outside the table's measured range, and flag them.")
]
OnlySupportedOption = Annotated[
    bool,
    typer.Option("--only-supported", help="Only networks whose every kind of op the device runs and was timed with."),
]
ModeOption = Annotated[
    str,
    typer.Option("--supernet-training", help="single-path, fair, sandwich, shrinking or differentiable."),
]
NetadaptOption = Annotated[
    str | None, typer.Option("--netadapt", metavar="TARGET", help="Then slim the network found to 51ms, or to 75%.")
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Where networks are scored: in-process, pool (processes of this machine), ray, or nni (one a trial).",
    ),
]
ParallelOption = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        metavar="N",
        help="Networks asked for at once; decides the history, the engine does not. Default: 250, with --data 10, "
        "on nni 2.",
    ),
]
EvaluatorOption = Annotated[
    str | None,
    typer.Option(
        "--evaluator",
        metavar="train",
        help="train: each network of --data for a few epochs from scratch, instead of a supernet.",
    ),
]
TrialEpochsOption = Annotated[
    int, typer.Option("--trial-epochs", metavar="N", help="Epochs of each network with --evaluator train.")
]
StoppingOption = Annotated[
    bool,
    typer.Option(
        "--early-stopping", help="Stop trainings that lag behind (ASHA), with --evaluator train --engine ray."
    ),
]
RayAddressOption = Annotated[
    str | None, typer.Option("--ray-address", metavar="auto", help="Join a Ray cluster instead of starting one here.")
]
GpusOption = Annotated[float, typer.Option("--gpus-per-task", help="Share of a GPU each Ray task takes.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--trial-timeout", metavar="SECONDS", help="End and retry the scoring of a network after this long."),
]
ThreadsOption = Annotated[int, typer.Option("--threads", help="CPU threads that score one network of --data.")]
ExportOption = Annotated[
    bool, typer.Option("--export/--no-export", help="Write model.tflite and time it on this machine.")
]


def search(
    context: typer.Context,
    run: RunArgument = None,
    budget: BudgetOption = None,
    device: DevicesOption = None,
    front: FrontOption = None,
    space: SpaceOption = None,
    strategy: StrategyOption = None,
    seed: SeedOption = 0,
    evaluations: EvaluationsOption = None,
    data: DataOption = None,
    image_size: ImageSizeOption = None,
    search_images: SearchImagesOption = SupernetSettings.search_images,
    subset: SubsetOption = None,
    supernet_training: ModeOption = SupernetSettings.mode,
    warm_up: WarmUpOption = SupernetSettings.warm_up,
    kernel_transform: KernelTransformOption = False,
    epochs: EpochsOption = None,
    winner_epochs: WinnerEpochsOption = SupernetSettings.winner_epochs,
    supernet: SupernetOption = None,
    from_scratch: FromScratchOption = False,
    weights: WeightsOption = None,
    teacher_epochs: TeacherEpochsOption = SupernetSettings.teacher_epochs,
    teacher_share: TeacherShareOption = SupernetSettings.teacher_share,
    torch_device: TorchDeviceOption = None,
    out: OutOption = None,
    name: NameOption = None,
    resume: ResumeOption = False,
    extrapolate: ExtrapolateOption = False,
    only_supported: OnlySupportedOption = False,
    head: HeadOption = None,
    classes: ClassesOption = None,
    evaluator: EvaluatorOption = None,
    trial_epochs: TrialEpochsOption = 5,
    early_stopping: StoppingOption = False,
    engine: EngineOption = "in-process",
    parallel: ParallelOption = None,
    threads: ThreadsOption = 1,
    ray_address: RayAddressOption = None,
    gpus_per_task: GpusOption = 0.0,
    trial_timeout: TimeoutOption = None,
    netadapt: NetadaptOption = None,
    export: ExportOption = True,
    json: JsonOption = False,
) -> None:
    """Find the most accurate network within a latency budget.

    The upper end of the latency interval keeps the budget. Without --data, accuracy is predicted from ImageNet
    accuracies of thousands of networks. With --data a supernet is trained on your images and scores the networks;
    the winner is trained further, tested once and exported with its weights. With --weights the supernet starts as
    a pretrained network, by default over smaller forms of it, and learns from it. The run's folder gets the
    architecture, the Pareto front, the latency by layer, a TFLite model and report.html; result.json is the same
    for the same seed.

    [bold]Examples[/bold]

      nas search --budget 60ms --device pixel
      nas search --budget 0.08s --space mnasnet --seed 1 --out runs/mnasnet-80
      nas search --budget 30ms --data digits
      nas search --budget 40ms --data imagefolder:PATH --weights mobilenet_v2.tflite
      nas search --budget 30ms --data digits --supernet-training differentiable
      nas search --budget 60ms --data cifar10:PATH --netadapt 51ms
      nas search --device pixel1=60ms --device pixel4=20ms --front latency --front params
      nas search --budget 90ms --head ssdlite      the backbone for a detector: its head is part of the budget
      nas search --budget 30ms --data digits --engine ray --parallel 8
      nas search --resume runs/NAME                go on after an interruption
    """
    from nas.cli._search_display import print_summary, run_progress
    from nas.jobs.search.prepare import prepare_search
    from nas.jobs.search.run import require_exporter, run_to_folder
    from nas.runs import RunFolder, run_place

    if run is not None:
        wanted = _of_run(context, run, resume)
    else:
        if data is None:
            _refuse_image_options(context)
        wanted = _of_options(context)
    settings, images = wanted.settings, wanted.images
    place = run_place(out=run or out, name=name, default=_default_name(settings), resume=resume)
    if wanted.netadapt is not None:
        _slim_settings(wanted, place.path)
    _refuse_supernet_trials(wanted)
    scoring = _scoring(wanted)
    prepared = prepare_search(settings, scoring)
    if wanted.export:
        require_exporter()
    chosen = settings.as_dict() | ({} if images is None else images.as_dict())
    options = {"export": wanted.export, "netadapt": wanted.netadapt, **wanted.engine}
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen, "search", options)
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"The search in {folder.path} is already finished.", markup=False)
        result = folder.result()
    else:
        saved = f"What was done is saved in {folder.path}"
        with folder, resumable(saved), _opened(wanted) as opened, run_progress(settings.evaluations) as watch:
            timeout_s = wanted.engine["trial_timeout"]
            summary, result = run_to_folder(
                prepared, folder, export=wanted.export, watch=watch, engine=opened, timeout_s=timeout_s
            )
        if not json:
            print_summary(summary, folder.path)
    print_warnings((*result.get("warnings", ()), *result.get("trained", {}).get("warnings", ())))
    if wanted.netadapt is not None:
        slimming = _slim_settings(wanted, folder.path)
        result |= {"netadapt": _hand_on(slimming, folder.file("netadapt"), export=wanted.export, quiet=json)}
    if json:
        print_json(result)


@dataclass(frozen=True)
class _Wanted:
    """What a search is asked for, by options or by the run it goes on with; `images` is None without --data.

    `engine` holds where it runs, by option; none of it decides the result.
    """

    settings: SearchSettings
    images: SupernetSettings | None
    export: bool
    netadapt: str | None
    engine: dict[str, Any]


def _refuse_split_devices(wanted: _Wanted) -> None:
    """Raise UserError where the supernet is on a GPU and Ray's tasks could not see one."""
    from searchspace.support.errors import UserError

    if wanted.images is None or wanted.engine["engine"] != "ray" or wanted.engine["gpus_per_task"]:
        return
    from nas.training.execution import default_execution

    device = default_execution(wanted.images.torch_device).device
    if device != "cpu":
        raise UserError(
            f"this search computes on {device}, but its Ray tasks get no GPU: give --gpus-per-task 1 (or a share), "
            "or --torch-device cpu"
        )


_ENGINE_OPTIONS = ("engine", "ray_address", "gpus_per_task", "trial_timeout")


@contextmanager
def _opened(wanted: _Wanted) -> Iterator[Engine]:
    """Start the engine; raises UserError where that cannot be done."""
    from nas.engines import open_engine

    console, how, parallel = note_console(), wanted.engine, wanted.settings.parallel
    _refuse_split_devices(wanted)
    if how["engine"] == "nni":
        console.print(
            f"NNI scores one network a trial: {wanted.settings.evaluations} of them (--evaluations), each a process of "
            "some seconds. For many thousands use another engine.",
            markup=False,
        )
    with open_engine(
        how["engine"],
        address=how["ray_address"],
        workers=None if parallel is None else min(parallel, os.cpu_count() or 1),
        cpus_per_task=wanted.settings.threads,
        gpus_per_task=how["gpus_per_task"],
        notice=lambda text: console.print(text, markup=False),
    ) as engine:
        yield engine


def _of_options(context: typer.Context) -> _Wanted:
    """Return what the options ask for; raises UserError for a budget that is missing or cannot be read."""
    from nas.jobs.search.settings import SearchSettings, parse_budgets

    given = context.params
    refuse_classes(given["head"], given["classes"])
    data, training = given["data"], given["supernet_training"]
    device, budget_ms, also = parse_budgets(given["device"] or ["pixel"], given["budget"])
    weights = given["weights"]
    space = given["space"] or ("mobilenetv3" if data is None else "mobile")
    if data is not None:
        space, weights = _pretrained(given["space"], weights, given["image_size"])
    settings = SearchSettings(
        budget_ms=budget_ms,
        device=device,
        also=also,
        front=given["front"] or ["latency_ms"],
        space=space,
        strategy=given["strategy"] or ("learnt" if training == "differentiable" else "evolution"),
        seed=given["seed"],
        evaluations=_evaluations(given) if given["evaluations"] is None else given["evaluations"],
        extrapolate=given["extrapolate"],
        only_supported=given["only_supported"],
        head=given["head"],
        classes=given["classes"],
        parallel=_NNI_PARALLEL if given["engine"] == "nni" and given["parallel"] is None else given["parallel"],
        threads=given["threads"],
        evaluator=given["evaluator"],
        trial_epochs=given["trial_epochs"],
        early_stopping=given["early_stopping"],
    )
    images = None
    if data is not None:
        same = {name: given[name] for name in _IMAGE_OPTIONS if name not in ("supernet_training", "supernet")}
        same |= {"weights": weights}
        images = SupernetSettings(data=data, mode=training, start=given["supernet"], seed=given["seed"], **same)
    return _Wanted(
        settings, images, given["export"], given["netadapt"], {name: given[name] for name in _ENGINE_OPTIONS}
    )


_NNI_EVALUATIONS, _NNI_PARALLEL = 30, 2


def _evaluations(given: dict[str, Any]) -> int:
    """Return how many networks are evaluated by default."""
    if given["engine"] == "nni":
        return _NNI_EVALUATIONS
    return 50_000 if given["data"] is None else 100


def _refuse_supernet_trials(wanted: _Wanted) -> None:
    """Raise UserError where the trials of NNI would each need the supernet."""
    from searchspace.support.errors import UserError

    if wanted.engine["engine"] == "nni" and wanted.images is not None and wanted.settings.evaluator is None:
        raise UserError(
            "--engine nni starts a process for each network, and with --data each would load the supernet again: add "
            "--evaluator train, or use --engine pool or ray"
        )


def _pretrained(space: str | None, weights: str | None, image_size: int | None) -> tuple[str, str | None]:
    """Return the space to search on images and the weights to start from: those given, or those of `around:RUN`."""
    from searchspace.space import AROUND

    if weights is None and not (space or "").startswith(AROUND):
        return space or "mobile", None
    from nas.supernets.pretrained import at_size, space_around, weights_of

    if space is None:
        assert weights is not None
        return space_around(weights, image_size), weights
    return at_size(space, image_size), weights or weights_of(space)


def _of_run(context: typer.Context, run: str, resume: bool) -> _Wanted:
    """Return what a run was started with; raises UserError when another option was given too, or it is no search."""
    from nas.jobs.search.settings import SearchSettings
    from nas.runs import RunFolder
    from searchspace.support.errors import UserError

    if not resume:
        raise UserError(f"{run!r} was given without --resume: to go on with that run, nas search --resume {run}")
    free = ("export", *_ENGINE_OPTIONS)
    allowed = ("run", "resume", "json", *free)
    given = [name for name in context.params if name not in allowed and _was_given(context, name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{options}: a run goes on with its own settings; leave every other option out")
    chosen, about = RunFolder(run).started_with()
    if about["job"] != "search":
        raise UserError(f"{run} is no search but a run of nas {about['job']}: resume it by that command")
    try:
        settings = SearchSettings(**_fields_of(chosen, SearchSettings))
        images = SupernetSettings(**_fields_of(chosen, SupernetSettings)) if "data" in chosen else None
    except TypeError as error:
        raise UserError(f"{run}/settings.yaml does not hold the settings of a search: {error}") from None
    now = {name: context.params[name] for name in free if _was_given(context, name) or name not in about}
    chosen_now = {name: about.get(name) for name in free} | now
    return _Wanted(
        settings,
        images,
        bool(chosen_now["export"]),
        about["netadapt"],
        {name: chosen_now[name] for name in _ENGINE_OPTIONS},
    )


def _fields_of(chosen: dict[str, Any], settings: type[Any]) -> dict[str, Any]:
    names = {field.name for field in fields(settings)}
    return {name: value for name, value in chosen.items() if name in names}


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _scoring(wanted: _Wanted) -> Scoring:
    if wanted.images is None:
        from nas.jobs.search.scoring import PredictedScoring

        return PredictedScoring(wanted.settings.seed)
    if wanted.settings.evaluator == "train":
        from nas.jobs.search.train_scoring import open_train_scoring

        return open_train_scoring(wanted.images, wanted.settings.space, wanted.settings.trial_epochs)
    from nas.jobs.search.supernet_scoring import open_scoring

    return open_scoring(wanted.images, wanted.settings.space)


_TRAIN_OPTIONS = ("evaluator", "trial_epochs", "early_stopping")
_IMAGE_OPTIONS = (
    "image_size",
    "search_images",
    "subset",
    "supernet_training",
    "warm_up",
    "kernel_transform",
    "epochs",
    "winner_epochs",
    "supernet",
    "from_scratch",
    "weights",
    "teacher_epochs",
    "teacher_share",
    "torch_device",
)


def _refuse_image_options(context: typer.Context) -> None:
    """Raise UserError when an option was given that means something only with --data."""
    from searchspace.support.errors import UserError

    given = [name for name in (*_IMAGE_OPTIONS, *_TRAIN_OPTIONS) if _was_given(context, name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(
            f"{options}: only a search on images has a supernet to train; add --data, such as --data digits"
        )


def _slim_settings(wanted: _Wanted, place: Path) -> SlimSettings:
    """Return the settings of slimming the network found in `place`; raises UserError before any work is done."""
    from nas.jobs.slim.settings import ResourceName, SlimSettings, parse_target
    from searchspace.low_resolution import SMALL_PX
    from searchspace.support.errors import UserError

    target, search, images = wanted.netadapt, wanted.settings, wanted.images
    assert target is not None
    if images is None:
        raise UserError(f"--netadapt {target} fine-tunes on images: add --data, or slim a trained network later")
    if parse_target(target, ResourceName.LATENCY, search.budget_ms) >= search.budget_ms:
        raise UserError(f"--netadapt {target} is not below the budget of {search.budget_ms:g} ms that the search keeps")
    return SlimSettings(
        network=str(place),
        target=target,
        data=images.data,
        device=search.device,
        extrapolate=search.extrapolate,
        seed=search.seed,
        # Slimmed at the resolution that was priced; only images under 64 px stand in for larger ones.
        image_size=images.image_size if images.image_size is not None and images.image_size < SMALL_PX else None,
        subset=images.subset,
    )


def _hand_on(settings: SlimSettings, place: Path, *, export: bool, quiet: bool) -> dict[str, Any]:
    """Slim the network found, going on where an earlier try stopped, and return the result."""
    from nas.cli.netadapt import print_result, slim

    slimmed, _ = slim(settings, place, resume=place.exists(), export=export)
    if not quiet:
        print_result(slimmed, place)
    return slimmed


def _default_name(settings: SearchSettings) -> str:
    limits = {settings.device: settings.budget_ms, **settings.also}
    parts = [part for device, limit_ms in limits.items() for part in (Path(device).stem, f"{limit_ms:g}ms")]
    # An `around:` name may be a path or the whole text of a network.
    named = settings.space.rpartition("@")[0] or settings.space
    parts.append("around-network" if "," in named else Path(named).stem)
    parts += [] if settings.head is None else [settings.head]
    return "-".join(part.replace(":", "-") for part in parts)
