"""One trial of `--engine nni`: asks NNI for a network, scores it, reports its top-1; `python -m` with the run's folder.

A failed score ends with an exit code that is not 0, its reason on stderr: NNI keeps both.
"""

from __future__ import annotations

import math
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from nas.engines._nni_space import from_parameters
from nas.evaluators import Evaluator, check_top1
from nas.jobs.search.prepare import price
from nas.jobs.search.scoring import PredictedScoring, Scoring, Watch
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.untrained_scoring import open_untrained_scoring
from nas.runs import RunFolder
from nas.supernets.settings import SupernetSettings
from searchspace.space import SearchSpace, load_space
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import


def program(place: Path) -> list[str]:
    """Return the module and arguments that score a network of the run in `place`."""
    return ["nas.jobs.search.nni_trial", str(place.resolve())]


def main(place: str) -> None:
    """Score the network that NNI gives; raises UserError for one that cannot be scored."""
    nni = optional_import("nni", purpose="--engine nni", extra="nni")
    evaluator, space, threads = _evaluator(RunFolder(place))
    genotype = from_parameters(space, nni.get_next_parameter())
    nni.report_final_result(top1_of(evaluator, genotype, threads))


def top1_of(evaluator: Evaluator, genotype: Any, threads: int | None) -> float:
    """Return the top-1 in percent of a genotype, shape (choices,); raises ValueError where it is no percentage."""
    from contextlib import nullcontext

    if threads is None:
        limit: Any = nullcontext()
    else:
        from nas.training.execution import thread_limit

        limit = thread_limit(threads)
    with limit:
        top1 = evaluator.top1(genotype[None])
    check_top1(top1, 1)
    if not math.isfinite(top1[0]):
        raise ValueError(f"{evaluator.label}: the top-1 is {top1[0]}")
    return float(top1[0])


def _evaluator(folder: RunFolder) -> tuple[Evaluator, SearchSpace, int | None]:
    """Return what scores the networks of a run, their space, and with how many threads of torch, if any."""
    chosen, _ = folder.started_with()
    settings = SearchSettings(**_part(chosen, SearchSettings))
    scoring = _scoring(settings, chosen)
    priced = price(settings, scoring.scorable(load_space(settings.space)), scoring.rows)
    threads = settings.threads if scoring.slow else None
    return scoring.evaluator(priced.objective, folder, Watch()), priced.space, threads


def _scoring(settings: SearchSettings, chosen: dict[str, Any]) -> Scoring:
    images = SupernetSettings(**_part(chosen, SupernetSettings)) if "data" in chosen else None
    untrained = open_untrained_scoring(settings, images)
    if untrained is not None or images is None:
        return untrained or PredictedScoring(settings.seed)
    if settings.evaluator != "train":
        raise UserError("a trial of NNI does not score with a supernet: search with --evaluator train")
    from nas.jobs.search.train_scoring import open_train_scoring

    return open_train_scoring(images, settings.space, settings.trial_epochs)


def _part(chosen: dict[str, Any], settings: type[Any]) -> dict[str, Any]:
    names = {field.name for field in fields(settings)}
    return {name: value for name, value in chosen.items() if name in names}


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except UserError as error:
        sys.exit(f"Error: {error}")
