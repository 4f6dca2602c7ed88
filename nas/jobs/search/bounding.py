"""The proof of a predictor search's bound, computed in a process of its own while this one searches and exports.

It follows from the settings alone, not from what is found, so that it can begin with the search; its work is counted,
not timed, so that it proves the same wherever it runs. `python -m nas.jobs.search.bounding SETTINGS`, as JSON, prints
what is proved.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nas
from nas.bounds import predictor_bound
from nas.bounds._units import split_into_units
from nas.evaluators import Evaluator, PredictorEvaluator
from nas.jobs.search.settings import SearchSettings

Proof = Callable[[], float | None]

_WORTHWHILE = 512  # boxes; after a search of a few seconds a process takes as long to start as the proof
_MOST = 512  # boxes; eight times as many prove 0.08 points less at 60 ms on Pixel 1 and take three times as long


def boxes_of(evaluations: int) -> int:
    """Return how many boxes are divided for the bound of a search: less work after a short one."""
    return min(max(evaluations // 8, 64), _MOST)


@contextmanager
def proof_beside(settings: SearchSettings, evaluator: Evaluator) -> Iterator[Proof | None]:
    """Start the proof, and give what waits for it and returns the top-1 in percent that no network exceeds.

    None where it had better be computed here: for another evaluator, after a short search, on a single core. What was
    given raises OSError should the process have failed, which ends with the block.
    """
    worthwhile = boxes_of(settings.evaluations) >= _WORTHWHILE and len(os.sched_getaffinity(0)) > 1
    if not isinstance(evaluator, PredictorEvaluator) or not worthwhile:
        yield None
        return
    paths = (str(Path(nas.__file__).parents[1]), os.environ.get("PYTHONPATH"))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "nas.jobs.search.bounding", json.dumps(settings.as_dict())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the search, which ends this
    ) as process:
        try:
            yield lambda: _answer(process)
        finally:
            process.kill()


def _answer(process: subprocess.Popen[bytes]) -> float | None:
    told, _ = process.communicate()
    if process.returncode:
        raise OSError(f"the process that proves the bound ended with {process.returncode}")
    proved: float | None = json.loads(told)
    return proved


def _main(settings: SearchSettings) -> None:
    from nas.jobs.search.prepare import price
    from nas.jobs.search.scoring import PredictedScoring
    from nas.predictor import import_lightgbm_alone, shipped_predictor
    from searchspace.space import load_space

    import_lightgbm_alone()
    objective = price(settings, PredictedScoring().scorable(load_space(settings.space))).objective
    units = split_into_units(objective)
    predictor = shipped_predictor(objective.space.name)
    boxes = boxes_of(settings.evaluations)
    print(json.dumps(None if units is None else predictor_bound(predictor, objective, units, boxes)))


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # the search says them
    _main(SearchSettings(**json.loads(sys.argv[1])))
