"""Short trainings as trials: handed out one by one, stopped early, told in the order asked; Ray Tune for real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from nas.engines import InProcessEngine
from nas.evaluators.testing import FaultyEvaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.found import SearchResult
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal, read_batches
from nas.jobs.search.trials import TrialOptions, Trials
from nas.jobs.search.tune import BatchOfTrials
from nas.objectives import Objective
from nas.strategies import make_strategy
from searchspace.space import load_space

EPOCHS = 4
TINY = ("--budget", "60ms", "--data", "digits", "--subset", "200", "--evaluator", "train", "--trial-epochs", "2")
SHORT = (*TINY, "--winner-epochs", "1", "--no-export", "--evaluations", "4", "--parallel", "2")


class Training(FaultyEvaluator):
    """Is trained for four epochs."""

    epochs = EPOCHS


def searched(folder: Path, *, batch: int = 6, evaluations: int = 30, stop_after: int | None = None) -> SearchResult:
    """Search with trials that come back last first and stop early where their score is low."""
    folder.mkdir(exist_ok=True)
    objective = Objective(CompiledCost(load_space("mobilenetv3"), load_device("pixel")), 75.0)
    evaluator = Training(str(folder), faults=())
    strategy = make_strategy("evolution", objective, 1, evaluations)
    header = search_header(objective, strategy, evaluator, objective.cost.table, evaluations=evaluations, batch=batch)
    path = folder / "journal.jsonl"

    def drive(loop) -> None:
        trials_back = BatchOfTrials(loop, trials, evaluations=evaluations, size=batch)
        number = 0
        while not trials_back.finished:
            running = {}
            while (genotype := trials_back.next(str(number))) is not None:
                running[str(number)] = genotype
                number += 1
            for trial, genotype in reversed(running.items()):
                if stop_after is not None and trials.scored == stop_after:
                    raise KeyboardInterrupt
                (top1,) = evaluator.top1(genotype[None])
                trials_back.scored(trial, top1, EPOCHS if top1 > 54 else 2)

    with (
        Journal.resume(path, header) if path.exists() else Journal.create(path, header) as journal,
        Trials(evaluator, InProcessEngine(), folder, TrialOptions(per_network=True)) as trials,
    ):
        return run_search(objective, strategy, trials, journal, evaluations=evaluations, batch=batch, drive=drive)


def test_a_training_that_was_stopped_is_told_and_never_stands_on_the_front(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    batches = read_batches(tmp_path / "run" / "journal.jsonl")
    top1 = np.concatenate([batch.top1 for batch in batches])
    partial = np.concatenate([batch.partial for batch in batches])
    assert partial.any() and (top1[partial] <= 54).all()
    assert {epoch for batch in batches for epoch in batch.stopped or ()} == {None, 2}
    assert (~np.isnan(top1)).sum() == 30
    assert min(one.top1 for one in found.front) > 54
    assert len(found.evaluated) == 30 - partial.sum()


def test_an_interrupted_batch_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "broken", stop_after=16)
    again = searched(tmp_path / "broken")
    assert again == whole
    journals = [(tmp_path / name / "journal.jsonl").read_bytes() for name in ("whole", "broken")]
    assert journals[0] == journals[1]


def test_early_stopping_needs_trainings_and_ray(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["search", "--budget", "60ms", "--early-stopping", "--out", str(tmp_path / "a")])
    assert refused.exit_code == 2 and "--data" in refused.output
    refused = CliRunner().invoke(app, ["search", *SHORT, "--early-stopping", "--out", str(tmp_path / "b")])
    assert refused.exit_code == 2 and "add --engine ray" in " ".join(refused.output.split())


@pytest.mark.slow
def test_ray_tune_gives_the_history_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    for engine in ("in-process", "ray"):
        result = CliRunner().invoke(app, ["search", *SHORT, "--engine", engine, "--out", str(tmp_path / engine)])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "ray" / "journal.jsonl").read_bytes() == (tmp_path / "in-process" / "journal.jsonl").read_bytes()
    first = json.loads((tmp_path / "ray" / "trials.jsonl").read_text().splitlines()[1])
    assert 0 <= first["top1"][0] <= 100
