"""The MobileNeXt experiment: its tables, its equal-latency networks, and resuming a killed run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from latency_lut import predict
from latency_lut.devices import load_device
from nas.jobs.reproduce.mobilenext.candidates import at_latency, with_identity
from nas.jobs.reproduce.mobilenext.tables import run_tables
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage, open_experiment, run_experiment
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.runs import RunPlace
from searchspace.reference import reference

NAS = [sys.executable, "-m", "nas"]
QUICK = ["reproduce", "mobilenext", "--scale", "quick", "--json"]


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


@pytest.mark.slow
def test_a_killed_quick_run_resumes_to_the_same_result(tmp_path):
    def run(folder, *more):
        done = subprocess.run([*NAS, *QUICK, "--out", str(folder), *more], capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["stages"]

    whole = run(tmp_path / "whole")
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [*NAS, *QUICK, "--out", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not list(killed.glob("02-cells/*/checkpoint.pt")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = run(killed, "--resume")
    for stage in ("tables", "equal-latency", "placement"):
        assert resumed[stage] == whole[stage]
    assert [one["network"] for one in resumed["cells"]["figures"]["darts"]] == [
        one["network"] for one in whole["cells"]["figures"]["darts"]
    ]
