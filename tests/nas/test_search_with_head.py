"""A search whose budget includes a detection or segmentation head."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from latency_lut import UnmeasuredOp, predict
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.cli.app import app
from searchspace import UserError, parse
from searchspace.heads import HeadedNetwork, head
from searchspace.space import load_space


@pytest.mark.parametrize("kind", ["ssdlite", "ssdlite_sandglass", "lraspp"])
@pytest.mark.parametrize("name", ["mobilenetv3", "mnasnet", "mobilenext", "mobilenetv4_coarse"])
def test_compiled_costs_with_a_head_are_those_of_the_networks_to_the_bit(name, kind):
    table, space = load_device("pixel"), load_space(name).with_head(head(kind, 7))
    cost = CompiledCost(space, table, allow_extrapolation=True)
    genotypes = space.sample(np.random.default_rng(0), 20)
    whole = [predict(table, HeadedNetwork(space.decode(row), head(kind, 7)), True) for row in genotypes]
    assert cost.latency_ms(genotypes).tolist() == [one.latency_ms for one in whole]
    assert cost.high_ms(genotypes).tolist() == [one.high_ms for one in whole]


def test_heads_that_cannot_be_part_of_a_search_are_refused():
    space = load_space("mobilenetv3")
    for kind in ("ssdlite_halved", "deeplab_lite"):
        with pytest.raises(UserError, match="changes or cuts the network"):
            space.with_head(head(kind))
    with pytest.raises(UnmeasuredOp, match="resize"):
        CompiledCost(space.with_head(head("lraspp")), load_device("pixel"))


def test_a_search_with_a_head_keeps_the_budget_with_it(tmp_path):
    runs = {}
    for kind in (None, "ssdlite"):
        words = ["search", "--budget", "60ms", "--evaluations", "1500", "--out", str(tmp_path / str(kind)), "--json"]
        found = CliRunner().invoke(app, [*words, *(() if kind is None else ("--head", kind, "--classes", "4"))])
        assert found.exit_code == 0, found.stderr
        runs[kind] = json.loads(found.stdout)
    plain, headed = runs[None], runs["ssdlite"]
    network = HeadedNetwork(parse(headed["architecture"]), head("ssdlite", 4))
    priced = predict(load_device("pixel"), network)
    assert headed["latency_ms"] == priced.latency_ms and headed["high_ms"] <= 60
    assert headed["params"] == network.params
    assert headed["top1"] < plain["top1"], "the backbone gets what the head leaves"
    assert 5 < headed["head"]["latency_ms"] < 30 and "not of ssdlite" in headed["accuracy"]["label"]
    assert set(headed["usage"]["outputs"]) == {"boxes", "scores"}
    rows = list(csv.DictReader((tmp_path / "ssdlite" / "latency.csv").open()))
    assert rows[-2]["layer"] == "predict6"
    again = CliRunner().invoke(app, ["report", str(tmp_path / "ssdlite")])
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        (("--head", "ssdlite", "--data", "digits"), "leave --data out"),
        (("--head", "ssdlite", "--front", "params"), "the front is latency or madds"),
        (("--classes", "3"), "give --head too"),
        (("--head", "lraspp"), "--extrapolate"),
    ],
)
def test_mistakes_are_refused(tmp_path, words, message):
    found = CliRunner().invoke(app, ["search", "--budget", "60ms", "--out", str(tmp_path / "run"), *words])
    assert found.exit_code == 2 and message in " ".join(found.stderr.split())
    assert not (tmp_path / "run").exists()
