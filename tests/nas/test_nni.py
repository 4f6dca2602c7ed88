"""NNI: spaces in its form and back, the search as its tuner, and its local training service for real."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from nas.engines import InProcessEngine, open_engine
from nas.engines._nni_space import from_nni, from_parameters, to_nni, to_parameters
from nas.engines._nni_tuner import make_tuner
from nas.evaluators.testing import FaultyEvaluator
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.jobs.search.trials import TrialOptions, Trials
from nas.jobs.search.tune import BatchOfTrials
from nas.objectives import Objective
from nas.strategies import make_strategy
from searchspace.space import load_space, space_names
from searchspace.support.errors import UserError

SHORT = ("search", "--budget", "75ms", "--evaluations", "4", "--parallel", "2", "--no-export", "--json")


@pytest.mark.parametrize("name", space_names())
def test_a_space_goes_to_nni_and_back(name: str) -> None:
    space = load_space(name)
    document = json.loads(json.dumps(to_nni(space)))
    assert all(entry["_type"] == "choice" for entry in document.values())
    assert from_nni(document).choices == space.choices
    for genotype in space.sample(np.random.default_rng(0), 50):
        parameters = json.loads(json.dumps(to_parameters(space, genotype)))
        assert len(parameters) == space.active(genotype[None]).sum()
        assert from_parameters(space, parameters).tolist() == genotype.tolist()


def test_nni_itself_draws_networks_of_the_space() -> None:
    pytest.importorskip("nni")
    from nni.algorithms.hpo.random_tuner import RandomTuner

    space = load_space("mobilenetv3")
    tuner = RandomTuner(seed=1)
    tuner.update_search_space(json.loads(json.dumps(to_nni(space))))
    drawn = tuner.generate_parameters(0)
    assert set(drawn) == set(space.index)
    space.decode(from_parameters(space, drawn))


def test_what_is_no_network_of_the_space_is_refused() -> None:
    space = load_space("mobilenetv3")
    parameters = to_parameters(space, space.sample(np.random.default_rng(0), 1)[0])
    path = next(iter(parameters))
    with pytest.raises(UserError, match="has no choice 'depth'"):
        from_parameters(space, {**parameters, "depth": 3})
    with pytest.raises(UserError, match=f"{path} is 1000, expected one of"):
        from_parameters(space, {**parameters, path: 1000})
    with pytest.raises(UserError, match=f"{path} is left out"):
        from_parameters(space, {key: value for key, value in parameters.items() if key != path})
    with pytest.raises(UserError, match=r"rate of the search space is .* expected _type choice"):
        from_nni({"rate": {"_type": "uniform", "_value": [0, 1]}})


def searched(folder: Path, *, tuned: bool, failing: int | None = None) -> bytes:
    """Return the journal of a search; with NNI's tuner, what it is given comes back last first."""
    folder.mkdir()
    objective = Objective(CompiledCost(load_space("mobilenetv3"), load_device("pixel")), 75.0)
    evaluator = FaultyEvaluator(str(folder), faults=())
    strategy, size = make_strategy("evolution", objective, 1, 30), {"evaluations": 30, "batch": 4}
    header = search_header(objective, strategy, evaluator, objective.cost.table, **size)

    def drive(loop: Any) -> None:
        tuner = make_tuner(objective.space, BatchOfTrials(loop, trials, evaluations=30, size=4))
        tuner.update_search_space(json.loads(json.dumps(to_nni(objective.space))))
        came: dict[int, Any] = {}
        # NNI asks for as many as run at once, then for another after each that ended; later ones come by the callback.
        first = tuner.generate_multiple_parameters([0, 1, 2], st_callback=came.__setitem__)
        came |= dict(enumerate(first))
        asked = 3
        while came:
            number, parameters = came.popitem()
            if number == failing:
                tuner.trial_end(number, success=False)
            else:
                (top1,) = evaluator.top1(from_parameters(objective.space, parameters)[None])
                tuner.receive_trial_result(number, parameters, top1)
                tuner.trial_end(number, success=True)
            more = tuner.generate_multiple_parameters([asked], st_callback=came.__setitem__)
            came |= {asked + i: one for i, one in enumerate(more)}
            asked += 1
        assert tuner.ended.is_set() and tuner.refused is None

    with (
        Journal.create(folder / "journal.jsonl", header) as journal,
        Trials(evaluator, InProcessEngine(), folder, TrialOptions(per_network=True)) as trials,
    ):
        run_search(objective, strategy, trials, journal, **size, drive=drive if tuned else None)
    return (folder / "journal.jsonl").read_bytes()


def test_the_tuner_gives_the_history_of_every_engine(tmp_path: Path) -> None:
    pytest.importorskip("nni")
    expected = searched(tmp_path / "in-process", tuned=False)
    assert searched(tmp_path / "nni", tuned=True) == expected
    assert searched(tmp_path / "a trial is lost", tuned=True, failing=2) == expected


class OneNetwork:
    """Gives one network and keeps what it is told."""

    def __init__(self, genotype: Any, refusal: Exception | None = None) -> None:
        self.genotype, self.refusal, self.told = genotype, refusal, ""

    @property
    def finished(self) -> bool:
        return bool(self.told)

    def next(self, trial: str) -> Any:
        if self.refusal is not None:
            raise self.refusal
        given, self.genotype = self.genotype, None
        return given

    def scored(self, trial: str, top1: float) -> None:
        self.told = f"{top1}"

    def failed(self, trial: str, message: str) -> None:
        self.told = message


def test_a_trial_that_always_fails_is_given_up_after_four_times() -> None:
    pytest.importorskip("nni")
    space = load_space("mobilenetv3")
    source = OneNetwork(space.sample(np.random.default_rng(0), 1)[0])
    notices: list[str] = []
    tuner = make_tuner(space, source, notices.append)
    for number in range(4):
        assert not tuner.ended.is_set()
        assert len(tuner.generate_multiple_parameters([number])) == 1
        tuner.trial_end(number, success=False)
    assert "NNI trials failed" in source.told and tuner.ended.is_set()
    assert [notice.rpartition(": ")[2] for notice in notices] == [
        *["starting it again"] * 3,
        "given up after 4 attempts",
    ]
    assert tuner.generate_multiple_parameters([4]) == []


def test_what_the_search_refuses_ends_the_experiment() -> None:
    pytest.importorskip("nni")
    space = load_space("mobilenetv3")
    refusal = UserError("nothing is affordable")
    tuner = make_tuner(space, OneNetwork(None, refusal))
    assert tuner.generate_multiple_parameters([0, 1]) == []
    assert tuner.ended.is_set() and tuner.refused is refusal
    with pytest.raises(UserError, match="not that of the search"):
        tuner.update_search_space(to_nni(load_space("mnasnet")))


def test_a_missing_nni_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(UserError, match=r"--engine nni needs the package nni.*phone-nas\[nni\]"):
        open_engine("nni")


def test_trials_of_a_supernet_and_slimming_on_nni_are_refused(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        app, ["search", "--budget", "60ms", "--data", "digits", "--engine", "nni", "--out", str(tmp_path / "run")]
    )
    assert run.exit_code == 2 and "add --evaluator train" in " ".join(run.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_search_on_nni_writes_the_journal_of_one_in_process(tmp_path: Path) -> None:
    pytest.importorskip("nni")
    import psutil

    journals = {}
    for engine in ("in-process", "nni"):
        place = tmp_path / engine
        run = CliRunner().invoke(app, [*SHORT, "--engine", engine, "--out", str(place)])
        assert run.exit_code == 0, run.output
        assert json.loads(run.stdout)["evaluations"] == 4
        journals[engine] = (place / "journal.jsonl").read_bytes()
    assert "NNI web portal: http://127.0.0.1:" in run.stderr
    assert journals["nni"] == journals["in-process"]
    time.sleep(1)
    left = [one for one in psutil.Process().children(recursive=True) if "nni_node" in " ".join(one.cmdline())]
    assert left == []


def test_what_is_guarded_ends_with_the_process_that_started_it() -> None:
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    program = f"import os, nas.engines._nni as n; g = n._ended_with_this({sleeping.pid}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == -signal.SIGKILL
    assert sleeping.wait(timeout=30) == -signal.SIGTERM


def test_a_strategy_is_the_tuner_of_an_experiment_of_ones_own(tmp_path: Path, monkeypatch) -> None:
    """Made as NNI makes it, by its class name and arguments."""
    nni = pytest.importorskip("nni")
    from nni.tools.package_utils import create_customized_class_instance

    monkeypatch.setattr(sys, "path", [*sys.path])  # NNI adds the code directory to it
    arguments = {"space": "mobilenetv3", "budget": "60ms", "strategy": "evolution", "evaluations": 12}
    tuner = create_customized_class_instance(
        {
            "codeDirectory": str(tmp_path),
            "className": "nas.jobs.search.nni_tuner.PhoneTuner",
            "classArgs": arguments,
        }
    )
    space = load_space("mobilenetv3")
    tuner.update_search_space(json.loads(json.dumps(to_nni(space))))
    with pytest.raises(UserError, match="is not mobilenetv3"):
        tuner.update_search_space(to_nni(load_space("mnasnet")))
    cost = CompiledCost(space, load_device("pixel"))
    for number in range(12):
        genotype = from_parameters(space, tuner.generate_parameters(number))
        assert cost.interval_ms(genotype[None])[1][0] <= 90
        if number % 3:
            tuner.receive_trial_result(number, {}, 60.0 + number if number % 2 else {"default": 60.0 + number})
        tuner.trial_end(number, bool(number % 3))
    assert len(tuner._strategy._living) == 8
    with pytest.raises(ValueError, match=r"top-1|percent"):
        tuner.receive_trial_result(0, {}, 160.0)
    with pytest.raises(nni.NoMoreTrialError):
        tuner.generate_parameters(12)
