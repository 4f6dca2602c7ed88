"""`--strategy-option KEY=VALUE`: a strategy's settings by name, checked, and part of what a search is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from nas.objectives import Objective
from nas.strategies import Strategy, make_strategy
from searchspace.space import load_space
from searchspace.support.errors import UserError


@pytest.fixture(scope="module")
def objective() -> Objective:
    return Objective(CompiledCost(load_space("mobilenetv3"), load_device("pixel")), 60)


def made(objective: Objective, name: str, *options: str) -> Strategy:
    return make_strategy(name, objective, 0, 1000, None, options)


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("evolution", "population=77", 77),
        ("evolution", "mutation=1", 1.0),
        ("reinforce", "beta=-0.07", -0.07),
        ("local", "elite=3", 3),
        ("predictor", "exploration=2.5", 2.5),
        ("ppo", "learning_rate=1e-4", 1e-4),
        ("ppo-mnasnet", "normalised=true", True),
        ("tpe", "n_startup_trials=7", 7),
        ("nas.strategies:LocalSearch", "start=9", 9),
    ],
)
def test_a_setting_is_replaced_and_the_others_stay(
    objective: Objective, name: str, option: str, expected: object
) -> None:
    if name == "tpe":
        pytest.importorskip("optuna")
    usual, changed = made(objective, name), made(objective, name, option)
    key = option.partition("=")[0]
    assert usual.settings[key] != expected
    assert changed.settings == {**usual.settings, key: expected} and changed.name == usual.name
    assert type(changed.settings[key]) is type(expected)
    assert len(changed.ask(3)) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "evolution",
            ("populaton=5",),
            "no setting 'populaton': it has population, sample, mutation, crossover, batch",
        ),
        ("random", ("population=5",), "it has none"),
        ("evolution", ("population=0",), "expected 1 or more"),
        ("evolution", ("population=2.5",), "expected a whole number"),
        ("evolution", ("mutation=1.5",), "expected 0 to 1"),
        ("evolution", ("mutation=nan",), "expected a number"),
        ("evolution", ("population",), "expected KEY=VALUE"),
        ("evolution", ("population=",), "expected KEY=VALUE"),
        ("evolution", ("sample=5", "sample=6"), "given twice"),
        ("ppo", ("normalised=1",), "expected true or false"),
        ("ppo", ("reward=hurd",), "expected one of"),
    ],
)
def test_what_cannot_be_is_refused(objective: Objective, name: str, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        made(objective, name, *options)


def test_a_search_notes_them_and_goes_on_only_with_the_same(tmp_path: Path) -> None:
    def search(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(
            app,
            ["search", "--budget", "60ms", "--evaluations", "300", "--no-export", "--out", str(tmp_path / "r"), *words],
        )
        assert done.exit_code == status, done.output
        return done.output

    search("--strategy-option", "population=40")
    header = json.loads((tmp_path / "r" / "journal.jsonl").read_text().splitlines()[0])["header"]
    assert header["strategy_settings"]["population"] == 40 and header["strategy_settings"]["crossover"] == 0.5
    (tmp_path / "r" / "result.json").unlink()
    assert "strategy_options" in search("--resume", status=2)
    before = (tmp_path / "r" / "journal.jsonl").read_bytes()
    done = CliRunner().invoke(app, ["search", "--resume", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r" / "journal.jsonl").read_bytes() == before


def test_a_comparison_gives_them_to_those_that_have_them(tmp_path: Path) -> None:
    words = [
        "compare", "--space", "mobilenetv3", "--evaluator", "predictor", "--device", "pixel", "--budget", "60ms",
        "--evaluations", "60", "--seeds", "1", "--strategy", "local", "--strategy", "random", "--json",
    ]  # fmt: skip
    refused = CliRunner().invoke(app, [*words, "--strategy-option", "population=9", "--out", str(tmp_path / "x")])
    assert refused.exit_code == 2 and "local has start, elite, batch; random has none" in refused.stderr
    assert not (tmp_path / "x" / "result.json").exists()
    found = [
        json.loads(CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / f"{len(more)}")]).stdout)
        for more in ([], ["--strategy-option", "start=50"])
    ]
    usual, changed = (one["strategies"] for one in found)
    assert usual["random"] == changed["random"] and usual["local"] != changed["local"]
