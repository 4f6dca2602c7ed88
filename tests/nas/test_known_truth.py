"""NetAdapt against a table of known accuracies: the network, the choices, the judging, the whole experiment."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from nas.jobs.reproduce.netadapt_truth.choices import evolved, exact, greedy, slim
from nas.jobs.reproduce.netadapt_truth.judging import judge
from nas.jobs.reproduce.netadapt_truth.table import (
    QUARTERS,
    WIDEST,
    Truth,
    digits_of,
    network_of,
    read_truth,
    row_of,
)
from nas.jobs.reproduce.pipeline import open_experiment, run_experiment
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.runs import RunPlace
from netadapt.schedule import Form
from searchspace.support.errors import UserError
from searchspace.text import parse

ALL = ["".join(str(d + 1) for d in np.unravel_index(row, [QUARTERS] * 7)) for row in range(QUARTERS**7)]
TABLE = Path(__file__).parents[3] / "shared/data/accuracy/channel_widths_cifar10.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table in which wide layers help, the fourth most of all, with a little noise in each run."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("truth") / "widths.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "acc1", "acc2", "madds"])
        for digits in ALL:
            value = 85 + 0.2 * sum(map(int, digits)) + 0.6 * int(digits[3])
            noise = rng.normal(0, 0.05, 2)
            writer.writerow([digits, *(f"{value + one:.3f}" for one in noise), madds_of(digits)])
    return path


def madds_of(digits):
    """The published multiply-adds as a polynomial of the seven widths, fitted to all 16,384 rows without remainder."""
    a, b, c, d, e, f, g = map(int, digits)
    linear = 221_184 * a + 442_368 * (b + c) + 110_592 * d + 221_184 * f + 2_560 * g
    return linear + 1_572_864 * (2 * a * b + 2 * a * c + a * d) + 786_432 * d * e + 1_048_576 * (3 * e * f + e * g)


def test_the_network_has_the_published_counts():
    assert network_of("4444444") == parse(WIDEST)
    assert (parse(WIDEST).madds, parse(WIDEST).params) == (211_281_920, 1_804_170)
    assert network_of("2222222").madds == 54_260_736
    assert network_of("3333333").madds == 119_926_272
    for digits in ALL[::331]:
        assert network_of(digits).madds == madds_of(digits)
        assert digits_of(network_of(digits)) == digits


@pytest.mark.skipif(not TABLE.exists(), reason="the table of width accuracies is not here")
def test_every_network_of_the_published_table_has_its_counts():
    rows = csv.DictReader(line for line in TABLE.read_text().splitlines() if not line.startswith("#"))
    for row in list(rows)[::7]:
        network = network_of(row["arch"])
        assert (network.madds, network.params) == (int(row["madds"]), int(row["params"]))


def test_choices_keep_the_limit_and_exact_is_the_best(made):
    truth = read_truth(made)
    limit = float(truth.madds[row_of("2222222")])
    best = exact(truth, 0, limit)
    for form in Form:
        for steps in (slim(truth, 0, limit, form), slim(truth, 0, limit, form, seed=3, random=True)):
            madds = [step.cost for step in steps]
            assert madds == sorted(madds, reverse=True)
            assert madds[-1] <= limit < madds[-2]
    for digits in (greedy(truth, limit), evolved(truth, 0, limit, 0)):
        assert truth.madds[row_of(digits)] <= limit
        assert truth.accuracies[row_of(digits), 0] <= truth.accuracies[row_of(best), 0]
    # Evolution sees 500 of the networks within the limit and comes within a run's noise of the best.
    assert truth.accuracies[row_of(evolved(truth, 0, limit, 0)), 0] > truth.accuracies[row_of(best), 0] - 0.3


def test_judging_uses_the_other_run():
    accuracies = np.zeros((QUARTERS**7, 2))
    accuracies[row_of("1111112")] = 90.0, 50.0
    accuracies[row_of("1111121")] = 50.0, 80.0
    truth = Truth(accuracies, np.full(QUARTERS**7, 1.0))
    judged = judge(truth, 1.0, "exact", ([exact(truth, 0, 1.0)], [exact(truth, 1, 1.0)]), "1111111")
    assert judged.accuracy == 50.0  # 50 by run 2 for run 1's choice, 50 by run 1 for run 2's
    assert judged.rank == 2.0
    assert judged.over_uniform == 50.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "missing"),
        (lambda lines: [lines[0], lines[1].replace("1111111", "1111115"), *lines[2:]], "line 2"),
        (lambda lines: [lines[0], lines[1].replace(",", ",x", 1), *lines[2:]], "line 2"),
        (lambda lines: ["arch,acc1", *lines[1:]], "acc2"),
    ],
)
def test_a_wrong_table_is_refused(made, tmp_path, change, words):
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(change(made.read_text().splitlines())))
    with pytest.raises(UserError, match=words):
        read_truth(path)


def test_the_experiment_writes_its_page_and_is_kept(made, tmp_path, page_made_again):
    from nas.jobs.reproduce.experiments import experiment

    settings = ReproduceSettings(experiment="netadapt-truth", scale=Scale.QUICK, table=str(made))
    with open_experiment(settings, RunPlace(tmp_path / "run"), resume=False) as folder:
        result = run_experiment(experiment("netadapt-truth"), settings, folder)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "uniform width 1/2" in page and "NetAdapt, MobileNetV3" in page
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == json.loads(json.dumps(result))
    figures = result["stages"]["widths"]["figures"]
    assert figures["uniform 1/2"]["exact by one run"]["regret"] < 0.3
    page_made_again(tmp_path / "run")
    with open_experiment(settings, RunPlace(tmp_path / "run"), resume=True) as folder:
        assert folder.is_complete


def test_without_a_table_it_says_what_to_give(tmp_path):
    from nas.jobs.reproduce.experiments import experiment

    settings = ReproduceSettings(experiment="netadapt-truth", scale=Scale.QUICK)
    with (
        open_experiment(settings, RunPlace(tmp_path / "run"), resume=False) as folder,
        pytest.raises(UserError, match="--table"),
    ):
        run_experiment(experiment("netadapt-truth"), settings, folder)
