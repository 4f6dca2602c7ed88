"""The search loop: what reaches the evaluator, what is found, and that a killed search goes on to the same result."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from latency_lut import predict
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.evaluators import PredictorEvaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.found import Progress, SearchResult
from nas.jobs.search.header import space_fingerprint
from nas.jobs.search.journal import Journal
from nas.objectives import Objective
from nas.predictor import score_network, shipped_predictor
from nas.strategies import RandomSearch, RegularisedEvolution, Strategy, make_strategy
from nas.strategies.testing import artificial_top1, conformance_objective
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.support.errors import UserError

EVALUATIONS, BATCH = 600, 40


class CountingEvaluator:
    """The artificial accuracy; remembers what it was asked, and may stop the search."""

    label = "artificial top-1"
    fingerprint = "artificial"
    basis: Mapping[str, str] = {}

    def __init__(self, stop_after: int | None = None, stop=lambda: None) -> None:
        self.asked: list[np.ndarray] = []
        self.stop_after = stop_after
        self.stop = stop

    def top1(self, genotypes):
        self.asked.append(genotypes)
        if self.stop_after is not None and len(self.asked) > self.stop_after:
            self.stop()
        return artificial_top1(genotypes)


def new_strategy(objective: Objective, name: str = "evolution") -> Strategy:
    if name == "evolution":
        return RegularisedEvolution(objective, 3, population=80, sample=10)
    return make_strategy(name, objective, 3, EVALUATIONS)


def search(objective, path: Path, evaluator=None, name="evolution", resume=False, progress=None) -> SearchResult:
    opened = Journal.resume(path, {"seed": 3}) if resume else Journal.create(path, {"seed": 3})
    with opened as journal:
        return run_search(
            objective,
            new_strategy(objective, name),
            evaluator or CountingEvaluator(),
            journal,
            evaluations=EVALUATIONS,
            batch=BATCH,
            progress=progress,
        )


@pytest.fixture
def objective(tmp_path) -> Objective:
    return conformance_objective(tmp_path, budget=0.4)


def test_only_affordable_networks_reach_the_evaluator_each_once(objective, tmp_path):
    evaluator = CountingEvaluator()
    found = search(objective, tmp_path / "j.jsonl", evaluator)
    asked = np.concatenate(evaluator.asked)
    assert objective.affordable(asked).all()
    assert len(np.unique(asked, axis=0)) == len(asked) <= found.evaluations == EVALUATIONS


def test_the_winner_keeps_the_budget_and_is_the_best_evaluated(objective, tmp_path):
    evaluator = CountingEvaluator()
    found = search(objective, tmp_path / "j.jsonl", evaluator)
    asked = np.concatenate(evaluator.asked)
    within = asked[objective.high_ms(asked) <= objective.budget_ms]
    assert found.winner.top1 == artificial_top1(within).max()
    assert found.winner.low_ms < found.winner.latency_ms < found.winner.high_ms <= objective.budget_ms
    assert objective.space.decode(np.array(found.winner.genotype)) == found.winner.architecture


def test_the_front_reaches_from_well_under_to_over_the_budget(objective, tmp_path):
    found = search(objective, tmp_path / "j.jsonl")
    latency_ms = [network.latency_ms for network in found.front]
    top1 = [network.top1 for network in found.front]
    assert latency_ms == sorted(latency_ms) and top1 == sorted(top1)
    assert latency_ms[0] < 0.75 * objective.budget_ms
    assert found.front[-1].high_ms > objective.budget_ms
    assert all(network.high_ms <= objective.ceiling_ms for network in found.front)


@pytest.mark.parametrize("name", ["evolution", "random", "reinforce"])
def test_an_interrupted_search_goes_on_to_the_same_result(objective, tmp_path, name):
    unbroken = search(objective, tmp_path / "unbroken.jsonl", name=name)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"[0-9]+ of 600 evaluations .* --resume"):
        search(objective, tmp_path / "broken.jsonl", CountingEvaluator(6, interrupt), name=name)
    resumed = search(objective, tmp_path / "broken.jsonl", name=name, resume=True)
    assert resumed == unbroken
    assert (tmp_path / "broken.jsonl").read_bytes() == (tmp_path / "unbroken.jsonl").read_bytes()


def test_a_killed_process_leaves_a_journal_that_another_goes_on_from(objective, tmp_path):
    """The child kills itself without a chance to clean up; the parent tears the journal's last line as well."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_search as t
stop = lambda: os.kill(os.getpid(), signal.SIGKILL)
folder = Path({str(tmp_path)!r})
t.search(t.conformance_objective(folder, budget=0.4), folder / "killed.jsonl", t.CountingEvaluator(9, stop))
"""
    child = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert child.returncode == -signal.SIGKILL
    killed = tmp_path / "killed.jsonl"
    killed.write_bytes(killed.read_bytes()[:-50])
    evaluator = CountingEvaluator()
    resumed = search(objective, killed, evaluator, resume=True)
    assert resumed == search(objective, tmp_path / "unbroken.jsonl")
    assert sum(map(len, evaluator.asked)) < EVALUATIONS / 2


def test_a_finished_search_is_only_read(objective, tmp_path):
    found = search(objective, tmp_path / "j.jsonl")
    evaluator = CountingEvaluator()
    assert search(objective, tmp_path / "j.jsonl", evaluator, resume=True) == found
    assert not evaluator.asked


def test_progress_counts_up_to_the_end_and_the_best_never_falls(objective, tmp_path):
    seen: list[Progress] = []
    search(objective, tmp_path / "j.jsonl", progress=seen.append)
    assert [progress.evaluations for progress in seen] == [*range(0, EVALUATIONS, BATCH), EVALUATIONS]
    best = [progress.top1 for progress in seen if progress.top1 is not None]
    assert best == sorted(best) and len(best) > 1


def test_a_strategy_that_ignores_the_budget_is_stopped(objective, tmp_path):
    class Reckless(RandomSearch):
        def ask(self, n):
            return np.repeat(self.objective.cost.extremes().slowest[None], n, axis=0)

    evaluator = CountingEvaluator()
    with Journal.create(tmp_path / "j.jsonl", {}) as journal, pytest.raises(UserError, match="only networks over"):
        run_search(objective, Reckless(objective, 0), evaluator, journal, evaluations=10)
    assert not evaluator.asked


def test_scores_that_are_no_numbers_never_reach_the_journal(objective, tmp_path):
    class Broken(CountingEvaluator):
        def top1(self, genotypes):
            return np.full(len(genotypes), np.nan)

    with pytest.raises(ValueError, match="finite"):
        search(objective, tmp_path / "j.jsonl", Broken())
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 1


def test_on_a_phone_a_short_search_beats_mobilenet_v3_large_at_its_latency(tmp_path):
    space, table, predictor = load_space("mobilenetv3"), load_device("pixel"), shipped_predictor("mobilenetv3")
    large = reference("mobilenet_v3_large")
    latency = predict(table, large)
    objective = Objective(CompiledCost(space, table), latency.latency_ms)
    with Journal.create(tmp_path / "j.jsonl", {}) as journal:
        evaluator = PredictorEvaluator(predictor, space)
        strategy = make_strategy("evolution", objective, 0, 4000)
        found = run_search(objective, strategy, evaluator, journal, evaluations=4000)
    assert found.winner.top1 > score_network(predictor, large).top1 + 0.1
    assert predict(table, found.winner.architecture).high_ms == found.winner.high_ms <= latency.latency_ms
    assert predict(table, found.winner.architecture).latency_ms == found.winner.latency_ms
    assert score_network(predictor, found.winner.architecture).top1 == pytest.approx(found.winner.top1, abs=1.1e-4)


def test_the_fingerprint_of_a_space_is_its_content(tmp_path):
    one, again, other = (load_space(name) for name in ("mobilenetv3", "mobilenetv3", "mnasnet"))
    assert space_fingerprint(one) == space_fingerprint(again) != space_fingerprint(other)
    code = (
        "import nas.jobs.search.header as s, searchspace.space as p;print(s.space_fingerprint(p.load_space('mnasnet')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert told.stdout.strip() == space_fingerprint(other)
