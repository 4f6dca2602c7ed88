"""`nas search`: find the most accurate network within a latency budget."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli._common import JsonOption, note_console, note_versions, print_json, print_warnings
from nas.cli._errors import resumable
from nas.cli._options import Given, options_from
from nas.cli._run_options import NamedRunOptions, ResumedRun
from nas.cli._search_asked import BudgetOptions, SearchEngineOptions, SearchOutput, Wanted, asked
from nas.jobs.search.settings import SearchSettings
from nas.supernets.settings import SupernetSettings

if TYPE_CHECKING:
    from nas.engines import Engine
    from nas.jobs.search.scoring import Scoring


@options_from(
    ResumedRun,
    BudgetOptions,
    SearchSettings,
    SupernetSettings,
    SearchEngineOptions,
    NamedRunOptions,
    SearchOutput,
    data={"otherwise": "no images, accuracy is predicted"},
    engine={"help": "Scores networks: in-process, pool (processes of this machine), ray, or nni (one a trial)."},
    name={"help": "Name of the run.", "otherwise": "from device, budget and space"},
)
def search(given: Given, json: JsonOption = False) -> None:
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
      nas search --budget 60ms --evaluations 1000 --strategy-option population=50
      nas search --budget 30ms --data digits
      nas search --budget 40ms --data imagefolder:PATH --weights mobilenet_v2.tflite
      nas search --budget 30ms --data digits --supernet-training differentiable
      nas search --budget 60ms --data cifar10:PATH --netadapt 51ms
      nas search --device pixel1=60ms --device pixel4=20ms --front latency --front params
      nas search --budget 90ms --head ssdlite      the backbone for a detector: its head is part of the budget
      nas search --budget 60ms --evaluator table:mobilenetv3_space_imagenet_supernet.csv      among known networks only
      nas search --budget 30ms --data digits --engine ray --parallel 8
      nas search --resume runs/NAME                go on after an interruption
    """
    from nas.cli._search_display import print_summary, run_progress
    from nas.cli._search_slim import hand_on, slim_settings
    from nas.jobs.search.prepare import prepare_search
    from nas.jobs.search.run import require_exporter, run_to_folder
    from nas.runs import RunFolder, run_place

    wanted, resume = asked(given), given["resume"]
    settings, images = wanted.settings, wanted.images
    out, default = given["run"] or given["out"], _default_name(settings)
    place = run_place(out=out, name=given["name"], default=default, resume=resume)
    if wanted.netadapt is not None:
        slim_settings(wanted, place.path)
    scoring = _scoring(wanted)
    prepared = prepare_search(settings, scoring)
    if wanted.export:
        require_exporter()
    chosen = settings.as_dict() | ({} if images is None else images.as_dict())
    options = {"export": wanted.export, "netadapt": wanted.netadapt, **asdict(wanted.engine)}
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen, "search", options)
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"The search in {folder.path} is already finished.", markup=False)
        result = folder.result()
    else:
        if images is None:
            from nas.predictor import import_lightgbm_alone

            import_lightgbm_alone()
        saved = f"What was done is saved in {folder.path}"
        with folder, resumable(saved), _opened(wanted) as opened, run_progress(settings.evaluations) as watch:
            timeout_s = wanted.engine.trial_timeout
            summary, result = run_to_folder(
                prepared, folder, export=wanted.export, watch=watch, engine=opened, timeout_s=timeout_s
            )
        if not json:
            print_summary(summary, folder.path)
    print_warnings((*result.get("warnings", ()), *result.get("trained", {}).get("warnings", ())))
    if wanted.netadapt is not None:
        slimming = slim_settings(wanted, folder.path)
        result |= {"netadapt": hand_on(slimming, folder.file("netadapt"), export=wanted.export, quiet=json)}
    if json:
        print_json(result)


@contextmanager
def _opened(wanted: Wanted) -> Iterator[Engine]:
    """Start the engine; raises UserError where that cannot be done."""
    from nas.engines import open_engine

    console, how, parallel = note_console(), wanted.engine, wanted.settings.parallel
    _refuse_split_devices(wanted)
    if how.engine == "nni":
        console.print(
            f"NNI scores one network a trial: {wanted.settings.evaluations} of them (--evaluations), each a process of "
            "some seconds. For many thousands use another engine.",
            markup=False,
        )
    with open_engine(
        how.engine,
        address=how.ray_address,
        workers=None if parallel is None else min(parallel, os.cpu_count() or 1),
        cpus_per_task=wanted.settings.threads,
        gpus_per_task=how.gpus_per_task,
        notice=lambda text: console.print(text, markup=False),
    ) as engine:
        yield engine


def _refuse_split_devices(wanted: Wanted) -> None:
    """Raise UserError where the supernet is on a GPU and Ray's tasks could not see one."""
    from searchspace.support.errors import UserError

    if wanted.images is None or wanted.engine.engine != "ray" or wanted.engine.gpus_per_task:
        return
    from nas.training.execution import default_execution

    device = default_execution(wanted.images.torch_device).device
    if device != "cpu":
        raise UserError(
            f"this search computes on {device}, but its Ray tasks get no GPU: give --gpus-per-task 1 (or a share), "
            "or --torch-device cpu"
        )


def _scoring(wanted: Wanted) -> Scoring:
    from nas.jobs.search.untrained_scoring import open_untrained_scoring

    untrained = open_untrained_scoring(wanted.settings, wanted.images)
    if untrained is not None:
        return untrained
    if wanted.images is None:
        from nas.jobs.search.scoring import PredictedScoring

        return PredictedScoring(wanted.settings.seed)
    if wanted.settings.evaluator == "train":
        from nas.jobs.search.train_scoring import open_train_scoring

        return open_train_scoring(wanted.images, wanted.settings.space, wanted.settings.trial_epochs)
    from nas.jobs.search.supernet_scoring import open_scoring

    return open_scoring(wanted.images, wanted.settings.space)


def _default_name(settings: SearchSettings) -> str:
    limits = {settings.device: settings.budget_ms, **settings.also}
    parts = [part for device, limit_ms in limits.items() for part in (Path(device).stem, f"{limit_ms:g}ms")]
    # An `around:` name may be a path or the whole text of a network.
    named = settings.space.rpartition("@")[0] or settings.space
    parts.append("around-network" if "," in named else Path(named).stem)
    parts += [] if settings.head is None else [settings.head]
    return "-".join(part.replace(":", "-") for part in parts)
