"""Trials of a search through Ray Tune: the search loop, and so any strategy, as a Tune searcher; ASHA stops laggards.

A batch is asked for when the last one is told, so that without early stopping the history is that of every other
engine. With it, which trainings stop depends on what arrived when: each stop is in the journal, and a resumed search
replays it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas.engines import ATTEMPTS, Failure
from nas.evaluators import TrainEvaluator
from nas.jobs.search.ask_tell import Asked, SearchLoop
from nas.jobs.search.trials import Scored, Trials
from searchspace.choices import Genotypes
from searchspace.support.optional import optional_import

GENOTYPE, TOP1, EPOCH = "genotype", "top1", "training_iteration"


def _tune() -> Any:
    return optional_import("ray.tune", purpose="--evaluator train --engine ray", extra="ray")


def run_trials(
    loop: SearchLoop,
    trials: Trials,
    place: Path,
    *,
    evaluations: int,
    batch: int,
    resources: dict[str, float],
    early_stopping: bool,
    told: Callable[[], None],
) -> None:
    """Train networks until `evaluations` are told to the loop; `told` is called after every batch.

    `trials` knows what earlier work scored and notes what is scored now. Raises UserError as the loop does.
    """
    tune = _tune()
    evaluator = trials.evaluator
    assert isinstance(evaluator, TrainEvaluator)
    searcher = make_searcher(loop, trials, evaluations=evaluations, batch=batch, told=told)
    here = _Here(trials)
    scheduler = None
    if early_stopping:
        scheduler = tune.schedulers.ASHAScheduler(
            time_attr=EPOCH, max_t=evaluator.epochs, grace_period=1, reduction_factor=2, metric=TOP1, mode="max"
        )
    given = {"cpu": resources.get("num_cpus", 1), "gpu": resources.get("num_gpus", 0)}
    training = tune.with_resources(tune.with_parameters(_train, evaluator=evaluator), given)
    tuner = tune.Tuner(
        training,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            max_concurrent_trials=batch,
            trial_name_creator=lambda trial: _name(here.value, trial.config),
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(place.resolve()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
        ),
    )
    tuner.fit()
    if searcher.refused is not None:
        raise searcher.refused


class _Here:
    """Something of this process that does not travel: Tune pickles all it is given."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __reduce__(self) -> tuple[type[_Here], tuple[()]]:
        return _Here, ()


def _train(config: dict[str, Any], evaluator: TrainEvaluator) -> None:
    """Train one network and report every epoch; a Tune trial."""
    from nas.evaluators import EpochTold
    from nas.training.execution import thread_limit

    tune = _tune()
    with thread_limit(1):
        genotype = np.frombuffer(bytes.fromhex(config[GENOTYPE]), dtype=np.uint8)
        evaluator.trained(genotype, EpochTold(lambda epoch, top1: tune.report({TOP1: top1})))


def _name(trials: Trials, config: dict[str, Any]) -> str:
    genotype = np.frombuffer(bytes.fromhex(config[GENOTYPE]), dtype=np.uint8)
    return trials.name(genotype[None]).replace(",", "").replace(" ", "_")


def make_searcher(
    loop: SearchLoop, trials: Trials, *, evaluations: int, batch: int, told: Callable[[], None] = lambda: None
) -> Any:
    """Return a Ray Tune `Searcher` that suggests what the loop's strategy asks for and tells it what came of it."""
    search: Any = optional_import("ray.tune.search", purpose="--evaluator train --engine ray", extra="ray")
    base: Any = search.Searcher
    here = _Here(BatchOfTrials(loop, trials, evaluations=evaluations, size=batch, told=told))

    class LoopSearcher(base):  # type: ignore[misc]
        """Suggests networks, batch by batch, in the order asked."""

        def __init__(self) -> None:
            super().__init__(metric=TOP1, mode="max")
            self.refused: Exception | None = None

        def suggest(self, trial_id: str) -> Any:
            if self.refused is not None:
                return search.Searcher.FINISHED
            try:
                genotype = here.value.next(trial_id)
            except Exception as error:  # Tune would wrap it: raised again when the trials have ended
                self.refused = error
                return search.Searcher.FINISHED
            if genotype is None:
                return search.Searcher.FINISHED if here.value.finished else None
            return {GENOTYPE: genotype.astype(np.uint8).tobytes().hex()}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            try:
                if error or result is None or TOP1 not in result:
                    here.value.failed(trial_id, "its training failed; see the log in the folder tune")
                else:
                    here.value.scored(trial_id, float(result[TOP1]), int(result[EPOCH]))
            except Exception as refused:
                self.refused = refused

        def save(self, checkpoint_path: str) -> None:
            """Write nothing: the journal is the state."""
            Path(checkpoint_path).touch()

        def restore(self, checkpoint_path: str) -> None:
            """Read nothing: a search is resumed from its journal."""

    return LoopSearcher()


class BatchOfTrials:
    """Hands out the networks of one batch after another and tells the loop when all of a batch are back.

    For trial services that ask for one network at a time and answer in any order.
    """

    def __init__(
        self, loop: SearchLoop, trials: Trials, *, evaluations: int, size: int, told: Callable[[], None] = lambda: None
    ) -> None:
        self._loop, self._trials, self._told = loop, trials, told
        self._evaluations, self._size = evaluations, size
        self._asked: Asked | None = None
        self._waiting: deque[int] = deque()
        self._running: dict[str, int] = {}
        self._top1: list[float] = []
        self._stopped: list[int | None] = []

    @property
    def finished(self) -> bool:
        """Whether everything has been evaluated."""
        return self._asked is None and self._loop.done >= self._evaluations

    def next(self, trial: str) -> Genotypes | None:
        """Return the network, shape (choices,), that a trial is to score; None while the batch is out or at the end."""
        while self._asked is None:
            if self._loop.done >= self._evaluations:
                return None
            self._begin()
        if not self._waiting:
            return None
        self._running[trial] = index = self._waiting.popleft()
        return np.asarray(self._asked.new[index])

    def scored(self, trial: str, top1: float, epochs: int | None = None) -> None:
        """Take the top-1 in percent of a trial, and after how many epochs where it may have been stopped early."""
        if math.isnan(top1):
            self.failed(trial, "its top-1 is not a number")
            return
        full = getattr(self._trials.evaluator, "epochs", None)
        stopped = epochs if epochs is not None and full is not None and epochs < full else None
        self._end(trial, top1, stopped, Scored((top1,), stopped=stopped))

    def failed(self, trial: str, message: str) -> None:
        """Take that a trial has failed for good."""
        self._end(trial, math.nan, None, Scored(None, (Failure("raised", message),)))

    def _begin(self) -> None:
        n = min(self._size, self._loop.strategy.batch or self._size, self._evaluations - self._loop.done)
        asked = self._asked = self._loop.ask(n)
        known = [self._trials.known(genotype) for genotype in asked.new] if asked.rows else []
        self._top1 = [math.nan if one is None else one[0] for one in known]
        self._stopped = [None if one is None else one[1] for one in known]
        self._waiting = deque(i for i, one in enumerate(known) if one is None)
        self._trials.queue = len(self._waiting)
        self._tell_when_back()

    def _end(self, trial: str, top1: float, stopped: int | None, scored: Scored) -> None:
        index = self._running.pop(trial, None)
        if index is None or self._asked is None:
            return
        self._top1[index], self._stopped[index] = top1, stopped
        self._trials.note(self._asked.new[index][None], scored)
        self._tell_when_back()

    def _tell_when_back(self) -> None:
        if self._waiting or self._running or self._asked is None:
            return
        asked, self._asked = self._asked, None
        self._loop.tell(asked, np.array(self._top1), self._stopped)
        self._told()
