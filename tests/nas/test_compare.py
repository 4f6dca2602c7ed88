"""Tables of accuracies, and strategies compared on them: the counting, the statistics, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.evaluators import load_table_evaluator
from nas.jobs.compare.problem import open_problem
from nas.jobs.compare.run import RandomRows, compare_strategies, interval, run_strategy, summarise
from nas.jobs.compare.settings import CompareSettings
from nas.objectives import hypervolume
from nas.predictor import load_accuracy_table
from nas.strategies import LocalSearch, RegularisedEvolution
from nas.strategies.testing import artificial_top1
from searchspace.space import load_space
from searchspace.support.errors import UserError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of half of the macro space, with two seeds whose mean is the artificial accuracy."""
    space = load_space("macro")
    everything = np.stack(list(space.enumerate()))
    half = everything[np.random.default_rng(0).permutation(len(everything))[: len(everything) // 2]]
    lines = ["choices,top1_seed0,top1_seed1"]
    for row, top1 in zip(half.tolist(), artificial_top1(half).tolist(), strict=True):
        lines.append(f"{''.join(map(str, row))},{top1 - 0.5:.6f},{top1 + 0.5:.6f}")
    path = tmp_path_factory.mktemp("table") / "half.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def problem(table):
    return open_problem(CompareSettings(space="macro", evaluator=f"table:{table}"))


def test_a_table_knows_its_own_networks_and_no_others(problem):
    rows = problem.rows
    assert rows.top1 == pytest.approx(artificial_top1(rows.genotypes), abs=1e-5)
    everything = np.stack(list(rows.space.enumerate()))
    known = ~np.isnan(problem.lookup(everything))
    assert known.sum() == len(rows.top1) < len(everything)


def test_a_search_counts_distinct_networks_of_the_table(problem):
    trace = run_strategy(RegularisedEvolution.sized(problem.objective, 0, 150), problem, 150)
    assert len(trace.top1) == 150
    assert not np.isnan(trace.top1).any()


def test_random_search_draws_every_row_once(problem):
    rows = problem.rows
    trace = run_strategy(RandomRows(problem, 0), problem, len(rows.top1))
    assert sorted(trace.top1.tolist()) == pytest.approx(sorted(rows.top1.tolist()))


def test_hypervolume_of_known_points():
    cost, top1 = np.array([1.0, 2.0, 2.5, 9.0]), np.array([10.0, 30.0, 20.0, 90.0])
    assert hypervolume(top1, cost, (0.0, 4.0)) == pytest.approx(1 * 10 + 2 * 30)
    assert hypervolume(top1[:0], cost[:0], (0.0, 4.0)) == 0.0


def test_intervals_are_students():
    low, high = interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == (pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-3), pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3))
    assert interval(np.array([1.0, 2.0, 3.0]), lowest=0.0) == [0.0, high]
    assert interval(np.array([1.0])) is None


def test_evolution_and_local_search_beat_random_rows(table, problem):
    settings = CompareSettings(
        space="macro", evaluator=f"table:{table}", seeds=6, strategies=("random", "evolution", "local")
    )
    result = summarise(settings, problem, compare_strategies(settings, problem))
    for name in ("evolution", "local"):
        found = result["strategies"][name]
        assert found["regret_mean"] < result["strategies"]["random"]["regret_mean"]
        assert found["p_better_than_random"] < 0.05
        assert found["evaluations"] == 200


def test_the_command_writes_its_files_and_prints_the_keys(table, tmp_path, page_made_again):
    arguments = ["compare", "--space", "macro", "--evaluator", f"table:{table}", "--evaluations", "30", "--seeds", "2"]
    arguments += ["--strategy", "random", "--strategy", "local", "--out", str(tmp_path / "run"), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert set(result["strategies"]) == {"random", "local"}
    found = result["strategies"]["local"]
    assert {"regret_mean", "regret_ci", "hypervolume_mean", "evaluations"} <= set(found)
    assert found["regret_ci"][0] <= found["regret_mean"] <= found["regret_ci"][1]
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert {"curves.csv", "curves.png", "report.html"} <= {path.name for path in (tmp_path / "run").iterdir()}
    page_made_again(tmp_path / "run")


def test_an_interrupted_comparison_goes_on_to_the_same_result(table, tmp_path, monkeypatch):
    arguments = ["compare", "--evaluator", f"table:{table}", "--evaluations", "30", "--seeds", "2", "--json"]
    arguments += ["--strategy", "random", "--strategy", "local", "--strategy", "optuna:TPESampler"]
    whole = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "whole")])
    assert whole.exit_code == 0, whole.output
    ran = []

    def interrupted(strategy, *rest):
        ran.append(strategy.name)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return run_strategy(strategy, *rest)

    monkeypatch.setattr("nas.jobs.compare.run.run_strategy", interrupted)
    stopped = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert stopped.exit_code != 0
    resumed = CliRunner().invoke(app, ["compare", "--resume", str(tmp_path / "run"), "--json"])
    assert json.loads(resumed.stdout) == json.loads(whole.stdout)
    assert len(ran) == 4 + 3  # three searches were finished, three are left
    again = CliRunner().invoke(app, ["compare", "--resume", str(tmp_path / "run"), "--json"])
    assert json.loads(again.stdout) == json.loads(whole.stdout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("choices,top1\n00000000\n", "line 2"),
        ("choices,top1\n00000003,50\n", "line 2"),
        ("choices,top1\n00000000,150\n", "not a percentage"),
        ("choices,top1\n00000000,50\n00000000,51\n", "twice"),
        ("choices,accuracy\n00000000,50\n", "top1"),
        ("choices,top1\n", "no networks"),
        ("", "columns"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_table_evaluator(path, load_space("macro"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"evaluator": "guess"}, "table:FILE or predictor"),
        ({"evaluations": 0}, "--evaluations is 0"),
        ({"budget_ms": 60.0}, "--device"),
        ({"evaluator": "predictor"}, "--budget"),
        ({"strategies": ("local", "local")}, "twice"),
    ],
)
def test_settings_that_compare_nothing_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        CompareSettings(**({"space": "macro", "evaluator": "table:x.csv"} | wrong))


@pytest.mark.parametrize(
    ("file", "space"),
    [
        ("mobilenetv3_space_imagenet_supernet.csv", "mobilenetv3"),
        ("mnasnet_space_imagenet_proxy.csv", "mnasnet"),
        ("macro_space_cifar10.csv", "macro"),
    ],
)
def test_published_tables_are_read(shared_data, file, space):
    path = shared_data / "accuracy" / file
    rows = load_table_evaluator(path, load_space(space)).rows
    if space != "macro":
        table = load_accuracy_table(path)
        assert np.array_equal(table.layout.read(rows.space, rows.genotypes), table.rows)
    assert len(np.unique(rows.genotypes, axis=0)) == len(rows.top1) == len(path.read_text().splitlines()) - 1


def test_local_search_on_the_published_macro_table(shared_data):
    path = shared_data / "accuracy" / "macro_space_cifar10.csv"
    problem = open_problem(CompareSettings(space="macro", evaluator=f"table:{path}"))
    regrets = [
        problem.rows.top1.max() - run_strategy(LocalSearch.sized(problem.objective, seed, 200), problem, 200).top1.max()
        for seed in range(10)
    ]
    assert np.mean(regrets) < 0.1
