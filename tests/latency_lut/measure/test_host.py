"""Measuring this machine from the command line to a table, and comparing whole networks with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut import LatencyTable, Precision, predict
from latency_lut.devices import load_device
from latency_lut.measure.backend import build_model
from latency_lut.measure.endtoend import chosen_networks, validate_on_device
from latency_lut.measure.host import Host, check_xnnpack
from latency_lut.measure.plan import network_ops
from nas.cli.app import app
from searchspace import Op, OpKind, reference, reference_names
from searchspace.space import space_names
from searchspace.support.errors import UserError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    return tmp_path


def measure(*arguments: str, status: int = 0):
    result = CliRunner().invoke(app, ["lut", "measure", "--device", "host", *arguments])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_table_of_this_machine(home, tiny, precision):
    document = json.loads(measure("--network", str(tiny), "--precision", precision, "--json").stdout)
    name = "host" if precision == "float32" else "host_int8"
    table = load_device(name)
    assert document["table"] == str(home / "tables" / f"{name}.csv")
    assert table.provenance.precision.value == precision
    assert document["ops"] == len(table) == len({op for layer in tiny.ops() for op in layer.ops})
    assert all(0 < entry.latency_ms < 100 for entry in table.entries().values())
    assert 0 < predict(table, tiny).latency_ms < 100
    assert not list((home / "tables").glob("*.partial"))


def test_larger_ops_take_longer():
    with Host() as host:
        models = [build_model(Op(OpKind.CONV, size, 32, 64), Precision.FLOAT32) for size in (7, 14, 56)]
        timings = host.time([model for model, _ in models])
    times = [timing.median_ms / copies for timing, (_, copies) in zip(timings, models, strict=True)]
    assert times == sorted(times) and times[2] > 4 * times[1]


def test_the_process_is_pinned_and_set_free_again():
    before = os.sched_getaffinity(0)
    with Host() as host:
        assert os.sched_getaffinity(0) == set(host.cores) and len(host.cores) == 1
    assert os.sched_getaffinity(0) == before


def test_floats_run_on_xnnpack_here():
    check_xnnpack(build_model(Op(OpKind.CONV, 7, 8, 8), Precision.FLOAT32)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "toaster"], "expected host, adb, adb:SERIAL or aihub:NAME"),
        (["--cores", "900"], "cores 900 were asked for"),
        (["--cores", "0;1"], "expected core numbers"),
        (["--threads", "500"], "500 threads were asked for"),
        (["--grid", "0.5"], "ratio is 0.5"),
        (["--space", "no_such_space"], "unknown search space"),
        (["--network", "no_such_network"], "no_such_network"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_mistakes_are_told(home, arguments, message):
    result = measure(*arguments, status=2)
    assert message in result.stderr.replace("\n", " ")
    assert not list(home.rglob("*.csv")) and not list(home.rglob("*.partial"))


def test_an_unfinished_run_is_not_overwritten(home):
    (home / "tables").mkdir()
    (home / "tables" / "host.csv.partial").write_text("")
    assert "add --resume" in measure(status=2).stderr.replace("\n", " ")


def press_a_key(running: subprocess.Popen[str], keyboard: int) -> None:
    os.write(keyboard, b"x")


def interrupt(running: subprocess.Popen[str], keyboard: int) -> None:
    running.send_signal(signal.SIGINT)


def kill(running: subprocess.Popen[str], keyboard: int) -> None:
    running.kill()


@pytest.mark.parametrize("stop", [press_a_key, interrupt, kill])
def test_stopped_runs_resume(home, tiny, stop):
    command = [sys.executable, "-m", "nas.cli.app", "lut", "measure", "--device", "host", "--network"]
    networks = [str(tiny), "mnasnet_small@32", "mobilenet_v3_large@64", "mobilenext@64"]  # enough to stop in the middle
    command += [networks[0], *(word for name in networks[1:] for word in ("--network", name)), "--grid", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    partial = home / "tables" / "host.csv.partial"
    keyboard, terminal = os.openpty()
    running = subprocess.Popen(
        command,
        env=environment,
        stdin=terminal,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored in all they start; a user's has not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (partial.exists() and partial.read_text().count("\n") > 8):
        time.sleep(0.02)
    stop(running, keyboard)
    _, said = running.communicate(timeout=60)
    kept = partial.read_text().count("\n") - 1
    if stop is not kill:
        assert running.returncode == 130 and "add --resume to go on" in said.replace("\n", " ")
    assert kept >= 8 and not (home / "tables" / "host.csv").exists()
    finished = subprocess.run([*command, "--resume", "--json"], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["ops"] == len(network_ops([tiny, *map(reference, networks[1:])]))
    assert not partial.exists()
    os.close(keyboard)
    os.close(terminal)


def test_whole_networks_are_compared(home, tiny):
    measure("--network", str(tiny))
    table = load_device("host")
    with Host() as host:
        validation = validate_on_device(table, host, {"tiny": tiny, "large": reference("mobilenet_v1")})
    (comparison,) = validation.comparisons
    assert comparison.label == "tiny" and 0.2 < comparison.predicted_ms / comparison.measured_ms < 5
    assert dict(validation.skipped) == {"holds an op outside the table's measured range": 1}


def test_a_table_of_another_device_is_not_compared(home, tiny):
    measure("--network", str(tiny))
    path = home / "tables" / "host.csv"
    with Host() as host:
        with pytest.raises(UserError, match="of another device"):
            validate_on_device(load_device("pixel1"), host, {})
        validate_on_device(LatencyTable.load(path), host, {})


def test_networks_are_chosen_by_name():
    everything = chosen_networks(["all"], 2, seed=0)
    assert len(everything) == len(reference_names()) + 2 * len(space_names())
    assert set(chosen_networks(["mobilenet_v2", "macro"], 3, seed=0)) == {
        "mobilenet_v2",
        "macro/0",
        "macro/1",
        "macro/2",
    }
    assert chosen_networks(["mobile"], 3, 1) == chosen_networks(["mobile"], 3, 1) != chosen_networks(["mobile"], 3, 2)
    with pytest.raises(UserError, match="unknown"):
        chosen_networks(["nothing"], 1, 0)
