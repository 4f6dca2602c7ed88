"""The MobileNeXt experiment: its tables, its equal-latency networks, and resuming a killed run."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import searchspace
from latency_lut import predict
from latency_lut.devices import load_device
from nas.jobs.reproduce.mobilenext.candidates import at_latency, with_identity
from nas.jobs.reproduce.mobilenext.tables import run_tables
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage, open_experiment, run_experiment
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.runs import RunPlace
from searchspace.reference import reference
from searchspace.space import load_space


def context(tmp_path, scale=Scale.QUICK):
    settings = ReproduceSettings(experiment="mobilenext", scale=scale)
    return Context(settings=settings, folder=tmp_path, before={}, report=lambda done, total: None, say=print)


def test_table_3_beside_the_paper(tmp_path):
    found = {entry.what: (entry.paper, entry.ours) for entry in run_tables(context(tmp_path)).comparisons}
    assert found["mobilenext 1.0, multiply-adds"] == ("300 M", "311 M")
    assert found["mobilenext 1.0, parameters"] == ("3.5 M", "3.54 M")
    assert found["mobilenet_v2 0.35, parameters"] == ("1.7 M", "1.68 M")


def test_networks_of_equal_latency_are_within_three_per_cent():
    table = load_device("pixel")
    target_ms = predict(table, reference("mobilenet_v2_0.5")).latency_ms
    for base, share in (("mobilenet_v2", None), ("mobilenext", Fraction(1)), ("mobilenext", Fraction(1, 6))):
        _, _, latency_ms = at_latency(base, share, target_ms, table)
        assert latency_ms == pytest.approx(target_ms, rel=0.03)


def test_a_partial_shortcut_adds_to_its_share():
    network = with_identity(reference("mobilenext"), Fraction(1, 2))
    assert network.params == reference("mobilenext").params
    shortcuts = [placed.shortcut_channels for placed in network.placed_blocks() if placed.shortcut_channels]
    assert shortcuts[0] == 96  # half of the 192 channels of the first stage with a shortcut


def test_a_stage_that_finished_is_kept_and_one_that_failed_goes_on(tmp_path):
    calls = []

    def first(given):
        calls.append("first")
        return run_tables(given)

    def second(given):
        calls.append("second")
        if calls.count("second") == 1:
            raise RuntimeError("power cut")
        return run_tables(given)

    pipeline = Experiment(
        name="mobilenext", title="t", about="a", stages=(Stage("a", "A", first), Stage("b", "B", second))
    )
    settings = ReproduceSettings(experiment="mobilenext", scale=Scale.QUICK)
    with open_experiment(settings, RunPlace(tmp_path / "run"), resume=False) as folder, pytest.raises(RuntimeError):
        run_experiment(pipeline, settings, folder)
    assert "A</h2>" in (tmp_path / "run/report.html").read_text()
    with open_experiment(settings, RunPlace(tmp_path / "run"), resume=True) as folder:
        result = run_experiment(pipeline, settings, folder)
    assert calls == ["first", "second", "second"]
    assert set(result["stages"]) == {"a", "b"}


def test_a_space_file_takes_every_share_of_the_shortcut(tmp_path):
    text = (Path(searchspace.__file__).parent / "data/spaces/mobile.yaml").read_text()
    (tmp_path / "shares.yaml").write_text(text.replace("identity: [1, 1/2]", "identity: [1, 1/2, 1/3, 1/6]"))
    space = load_space(str(tmp_path / "shares.yaml"))
    found = {block.identity for row in space.sample(np.random.default_rng(0), 60) for block in space.decode(row).blocks}
    assert {Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)} <= found
