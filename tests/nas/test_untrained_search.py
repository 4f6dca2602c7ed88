"""Searches that train nothing: by a table of known accuracies, and by scores of untrained networks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.evaluators import SCORES, PredictorEvaluator, ZeroCostEvaluator, load_table_evaluator
from nas.objectives import Objective
from nas.predictor import shipped_predictor
from nas.strategies import make_strategy
from nas.strategies.testing import MaddsCost
from searchspace.space import load_space
from searchspace.support.errors import UserError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of 300 networks of `mobilenetv3` in the columns of the published one, accuracies predicted."""
    predictor = shipped_predictor("mobilenetv3")
    space = predictor.layout.covered
    rows = space.sample(np.random.default_rng(0), 300)
    top1 = PredictorEvaluator(predictor, space).top1(rows)
    path = tmp_path_factory.mktemp("known") / "few.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(column.name for column in predictor.layout.columns), "top1"])
        writer.writerows([*row, score] for row, score in zip(predictor.layout.read(space, rows), top1, strict=True))
    return path


def run(*arguments):
    done = CliRunner().invoke(app, ["search", "--no-export", "--json", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("strategy", ["evolution", "local", "random", "predictor", "ppo"])
def test_only_networks_of_the_table_are_evaluated(table, strategy):
    evaluator = load_table_evaluator(table, load_space("mobilenetv3"))
    rows = evaluator.rows
    cost = MaddsCost(evaluator.space)
    objective = Objective(cost, float(np.median(cost.interval_ms(rows.genotypes)[1])), rows=rows.genotypes)
    search = make_strategy(strategy, objective, 0, 60)
    found = []
    for _ in range(8):
        proposals = search.ask(10)
        known = objective.affordable(proposals)
        assert strategy == "ppo" or known.all()  # a policy learns from its own draws, and is told which have no answer
        top1 = np.where(known, evaluator.lookup(proposals), np.nan)
        assert np.isnan(top1).tolist() == (~known).tolist()
        search.tell(objective.results(proposals, top1))
        found += top1[known & (cost.interval_ms(proposals)[1] <= objective.budget_ms)].tolist()
    if strategy in ("local", "predictor"):
        assert max(found) >= np.quantile(rows.top1[cost.interval_ms(rows.genotypes)[1] <= objective.budget_ms], 0.9)


@pytest.mark.bound
def test_a_search_by_a_table_finds_its_best_row_and_says_how_much_it_holds(table, tmp_path):
    by_table = ["--evaluator", f"table:{table}", "--strategy", "exact", "--evaluations", "50"]
    result = run("--budget", "60ms", *by_table, "--out", tmp_path / "run")
    evaluator = load_table_evaluator(table, load_space("mobilenetv3"))
    assert (result["top1"], result["proved_optimal"]) == (result["bound_top1"], True)
    assert result["top1"] in evaluator.rows.top1
    assert result["accuracy"]["basis"]["networks"].startswith("300 of ")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "300 of" in page and "no network of the table within the budget" in page
    done = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    resumed = CliRunner().invoke(app, ["search", "--resume", str(tmp_path / "run"), "--json"])
    assert json.loads(resumed.stdout) == result


def test_a_budget_below_every_row_is_refused_with_the_range_of_the_table(table, tmp_path):
    arguments = ["search", "--budget", "22ms", "--evaluator", f"table:{table}", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "no network of the table fits" in " ".join(done.output.split())


def test_a_table_needs_no_images(table, tmp_path):
    arguments = ["search", "--budget", "60ms", "--evaluator", f"table:{table}", "--data", "digits"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "leave --data out" in " ".join(done.output.split())


def test_more_capable_networks_score_higher():
    space = load_space("macro")
    small, large = np.zeros(8, np.uint8), np.full(8, 2, np.uint8)
    for name in ("synflow", "zen", "naswot"):
        evaluator = ZeroCostEvaluator(space=space, score=name)
        assert evaluator.raw(large) > evaluator.raw(small), name


def test_synflow_is_the_sum_over_paths():
    """Of a network without shortcuts: every weight is on the same paths, so each layer adds the output once."""
    import torch

    from nas.evaluators._zero_cost import synflow
    from searchspace.modules import build_network
    from searchspace.text import parse

    network = build_network(parse("r32,stem_k3_s2_c8_re,ir_k3_s2_h16_c16_re,head_c32_re,n10"), seed=0)
    weights = [one for one in network.parameters() if one.dim() > 1]
    score = synflow(network, torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.int64))
    with torch.no_grad():
        output = float(network(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum())
    assert score == pytest.approx(np.log(len(weights) * output), abs=1e-6)


def test_scores_are_percentiles_and_the_same_again():
    space = load_space("macro")
    drawn = space.sample(np.random.default_rng(1), 4)
    first = ZeroCostEvaluator(space=space, score="synflow").top1(drawn)
    assert np.array_equal(first, ZeroCostEvaluator(space=space, score="synflow").top1(drawn))
    assert ((first > 0) & (first < 100)).all()


def test_scores_that_need_images_say_so():
    with pytest.raises(UserError, match="--data"):
        ZeroCostEvaluator(space=load_space("macro"), score="snip")
    with pytest.raises(UserError, match=", ".join(SCORES)):
        ZeroCostEvaluator(space=load_space("macro"), score="entropy")


def test_a_search_by_a_score_on_images(tmp_path):
    result = run(
        "--budget", "9s", "--evaluator", "zero-cost:grad_norm", "--data", "digits", "--evaluations", "4",
        "--space", "macro", "--extrapolate", "--parallel", "2", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "no accuracy" in result["accuracy"]["label"]
    assert 0 < result["top1"] <= 100
    assert result["bound_top1"] is None
