"""Who takes the turns of a search: this process, Ray Tune for trainings, NNI for every network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas.engines import Engine
from nas.jobs.search.ask_tell import SearchLoop
from nas.jobs.search.prepare import PreparedSearch
from nas.jobs.search.trials import Trials
from nas.jobs.search.watching import SearchWatch
from nas.runs import RunFolder
from searchspace.support.errors import UserError


def one_network_a_trial(engine: Engine) -> bool:
    """Tell whether the engine runs every network as a trial of its own, as NNI does."""
    return bool(getattr(engine, "one_network_a_trial", False))


def driver(
    prepared: PreparedSearch, trials: Trials, engine: Engine, folder: RunFolder, outside: SearchWatch
) -> Callable[[SearchLoop], None] | None:
    """Return what has Ray Tune run trainings, or NNI every network, where they run there.

    Raises UserError for early stopping elsewhere than on Ray.
    """
    settings = prepared.settings
    resources = getattr(engine, "resources", None)
    if settings.early_stopping and resources is None:
        raise UserError("--early-stopping is Ray Tune's: add --engine ray")
    if one_network_a_trial(engine):
        return _nni_driver(prepared, trials, engine, folder, outside)
    if settings.evaluator != "train" or resources is None:
        return None
    from nas.jobs.search.tune import run_trials

    def drive(loop: SearchLoop) -> None:
        run_trials(
            loop,
            trials,
            folder.path,
            evaluations=settings.evaluations,
            batch=settings.parallel or prepared.scoring.batch,
            resources=resources,
            early_stopping=settings.early_stopping,
            told=lambda: outside.batch_done(loop.progress(settings.evaluations)),
        )

    return drive


def _nni_driver(
    prepared: PreparedSearch, trials: Trials, engine: Any, folder: RunFolder, outside: SearchWatch
) -> Callable[[SearchLoop], None]:
    """Return what has NNI score each network in a trial of its own."""
    from nas.engines._nni import trials_at_once
    from nas.jobs.search.nni_trial import program
    from nas.jobs.search.tune import BatchOfTrials

    settings = prepared.settings
    size = settings.parallel or prepared.scoring.batch

    def drive(loop: SearchLoop) -> None:
        engine.run_trials(
            BatchOfTrials(
                loop,
                trials,
                evaluations=settings.evaluations,
                size=size,
                told=lambda: outside.batch_done(loop.progress(settings.evaluations)),
            ),
            prepared.space,
            folder.path,
            program(folder.path),
            at_once=trials_at_once(size),
            timeout_s=trials.options.timeout_s,
        )

    return drive
