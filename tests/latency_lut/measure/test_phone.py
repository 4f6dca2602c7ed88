"""Measuring a phone: the real adb program against a daemon that speaks its protocol, faults included."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut import LatencyTable, Method
from latency_lut.measure.adb import Adb, DeviceLost, PhoneError
from latency_lut.measure.backend import build_model
from latency_lut.measure.phone import Phone, open_phone, read_profile
from latency_lut.measure.sustained import Stretch, figures
from latency_lut.provenance import Precision
from latency_lut.tflite.runtime import load
from nas.cli.app import app
from searchspace import Op, OpKind
from searchspace.support.errors import UserError

PlugIn = Callable[..., object]
SMALL = Op(OpKind.CONV, 7, 8, 16)
# Two ops and a network, so that a whole run takes seconds.
NETWORK = "r8,stem_k3_s2_c8_re,cn_k3_s1_c8_re,head_re,n2"


def measure(phone, out: Path, *more: str):
    arguments = ["--device", phone.device, "--benchmark-model", str(phone.benchmark_model), "--out", str(out)]
    return CliRunner().invoke(app, ["lut", "measure", *arguments, "--network", NETWORK, *more])


def test_a_table_of_a_phone(plug_in, tmp_path):
    phone = plug_in()
    result = measure(phone, tmp_path / "phone.csv", "--json")
    assert result.exit_code == 0, result.output
    table = LatencyTable.load(tmp_path / "phone.csv")
    made = table.provenance
    assert json.loads(result.stdout)["ops"] == len(table) == 5
    assert (made.device, made.soc, made.method) == ("Maker Test Phone", "SM0000", Method.MEASURED)
    assert made.runtime_build.startswith("sha256:") and "Android 14" in made.runtime
    assert made.conditions["governor"] == "schedutil" and made.conditions["temperature"] == "41.5 C"
    assert made.cores == str(max(os.sched_getaffinity(0)))  # the fastest core of the furnished phone
    assert all(entry.latency_ms > 0 and entry.runs > 0 for entry in table.entries().values())
    left = {path.name for path in (phone.daemon.root / "data/local/tmp/phone-nas").iterdir()}
    assert left == {"benchmark_model"}


def test_profiled_times_are_those_of_the_model(plug_in):
    """A model of four copies takes longer than one of one copy."""
    phone = plug_in()
    from latency_lut.measure.models import op_model

    op = Op(OpKind.CONV, 28, 64, 64, 3)
    with open_phone(phone.daemon.serial, "adb", str(phone.benchmark_model), 1, None) as opened:
        reference, once, four = opened.time([op_model(SMALL), op_model(op), op_model(op, 4)])
    assert reference.median_ms < once.median_ms
    assert 2.5 < four.median_ms / once.median_ms < 6


def sustained(phone, *more: str):
    arguments = ["--device", phone.device, "--benchmark-model", str(phone.benchmark_model), *more]
    return CliRunner().invoke(app, ["lut", "measure", *arguments, NETWORK])


def test_sustained_latency_of_a_phone_that_warms(plug_in, tmp_path, monkeypatch):
    phone = plug_in()
    sensor = phone.daemon.root / "sys/class/thermal/thermal_zone0/temp"
    warming = Phone.stretch

    def warmer(self, model, seconds):
        sensor.write_text(f"{int(sensor.read_text()) + 1000}\n")
        return warming(self, model, seconds)

    monkeypatch.setattr(Phone, "stretch", warmer)
    out = tmp_path / "stretches.csv"
    result = sustained(phone, "--sustained", "2s", "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    rows = out.read_text().splitlines()[1:]
    assert found["finished"] and len(rows) == found["stretches"] >= 1
    assert found["seconds"] >= 2 and found["window_s"] == pytest.approx(found["seconds"] / 2, abs=0.1)
    assert 0 < found["p50_ms"] <= found["p90_ms"]
    assert found["last_temperature_c"] == 41.5 + found["stretches"] == found["highest_temperature_c"]
    assert sustained(phone, "--sustained", "2s", "--out", str(out)).exit_code == 2
    again = sustained(phone, "--sustained", "0.1s")
    assert "nine in ten within" in again.stdout and "42.5 C at first" not in again.stdout


def test_sustained_latency_keeps_what_was_measured(plug_in, tmp_path, monkeypatch):
    phone, calls = plug_in(), []
    endless = Phone.stretch

    def stopped(self, model, seconds):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(seconds)
        return endless(self, model, 0.1)

    monkeypatch.setattr(Phone, "stretch", stopped)
    out = tmp_path / "stretches.csv"
    result = sustained(phone, "--sustained", "10m", "--out", str(out), "--json")
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    assert not found["finished"] and found["stretches"] == 2 == len(out.read_text().splitlines()) - 1
    assert calls == [5.0, 5.0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sustained", "10"], "the duration '10' has no unit"),
        (["--sustained", "10ms"], "has the unknown unit 'ms'"),
        (["--sustained", "0s"], "expected more than 0 seconds"),
        ([], "--sustained DURATION and NETWORK go together"),
    ],
)
def test_what_is_no_duration(plug_in, more, message):
    result = sustained(plug_in(), *more)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


def test_a_phone_that_slows_down_is_told_by_minute():
    """Two minutes at 10 ms, one at 20: a third of the runs' time, and all of the last minute."""
    found = [
        Stretch(5.0 * n, 5.0 * n + 5, 10.0 if n < 24 else 20.0, 500 if n < 24 else 250, 40.0 + n) for n in range(36)
    ]
    told = figures(found)
    assert (told["first_p50_ms"], told["first_p90_ms"], told["last_p50_ms"]) == (10.0, 10.0, 20.0)
    assert (told["p50_ms"], told["p90_ms"], told["slowdown"], told["window_s"]) == (10.0, 20.0, 2.0, 60.0)
    assert (told["first_temperature_c"], told["last_temperature_c"]) == (40.0, 75.0)
    assert figures([]) == {"stretches": 0}


def test_a_pulled_cable_loses_nothing(plug_in, tmp_path):
    phone = plug_in()
    out = tmp_path / "phone.csv"
    whole = sum(len(build_model(task, Precision.FLOAT32)[0]) for task in [SMALL])
    phone.faults.disconnect_after_bytes = phone.benchmark_model.stat().st_size + whole
    result = measure(phone, out)
    assert result.exit_code == 1, result.output
    assert "add --resume to go on" in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not out.exists() and (tmp_path / "phone.csv.partial").exists()
    other = plug_in()
    resumed = measure(other, out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert len(LatencyTable.load(out)) == 5 and not (tmp_path / "phone.csv.partial").exists()


@pytest.mark.parametrize(
    ("faults", "message"),
    [({"unauthorized": True}, "accept this computer's key"), ({"silent": True}, "is offline")],
)
def test_phones_that_are_not_ready_are_told_apart(plug_in, tmp_path, faults, message):
    result = measure(plug_in(**faults), tmp_path / "phone.csv")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert list(tmp_path.glob("*.csv*")) == []


def test_a_full_phone_says_so(plug_in, tmp_path):
    result = measure(plug_in(storage_full=True), tmp_path / "phone.csv")
    assert result.exit_code == 1
    assert "the phone's storage is full" in result.stderr


def test_garbage_from_benchmark_model(plug_in, tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_FAULT", "garbage")
    result = measure(plug_in(), tmp_path / "phone.csv")
    assert result.exit_code == 1
    assert "no profile" in result.stderr


def test_a_failing_benchmark_model_is_quoted(plug_in, tmp_path):
    phone = plug_in()
    phone.benchmark_model.write_text("#!/bin/sh\necho cannot find libfoo\nexit 3\n")
    result = measure(phone, tmp_path / "phone.csv")
    assert result.exit_code == 1
    assert "cannot find libfoo" in result.stderr


@pytest.mark.parametrize("content", [b"", b"\x00", b"plain text", bytes(range(256))])
def test_profiles_are_not_believed_blindly(tmp_path, content):
    (tmp_path / "0.pb").write_bytes(content)
    with pytest.raises(PhoneError, match="profile"):
        read_profile(tmp_path / "0.pb")


def test_old_builds_write_no_profile(tmp_path):
    with pytest.raises(PhoneError, match="before 2024"):
        read_profile(tmp_path / "none.pb")


def test_adb_must_exist():
    with pytest.raises(UserError, match="no adb program"):
        Adb("/no/such/adb", None)


def test_a_phone_must_be_there(adb_server):
    with pytest.raises(UserError, match="is not connected"):
        Adb(adb_server, "no-such-serial")


def test_several_phones_must_be_told_apart(plug_in, adb_server):
    first, second = plug_in(), plug_in()
    with pytest.raises(UserError) as error:
        Adb(adb_server, None)
    assert first.device in str(error.value) and second.device in str(error.value)


def test_a_lost_phone_is_told_apart_from_a_failed_command(plug_in, adb_server):
    phone = plug_in()
    adb = Adb(adb_server, phone.daemon.serial)
    with pytest.raises(PhoneError, match="no-such-command"):
        adb.shell("no-such-command")
    phone.daemon.close()
    with pytest.raises(DeviceLost):
        adb.shell("true")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark-model", "/no/such/binary"], "no such file"),
        (["--benchmark-model", "phone:/data/local/tmp/absent"], "there is no program"),
        ([], "give its path with --benchmark-model"),
        (["--cores", "991"], "do not serve"),
        (["--cores", "a,b"], "expected core numbers"),
        (["--threads", "99"], "the phone has"),
    ],
)
def test_what_cannot_be_measured_with(plug_in, tmp_path, arguments, message):
    phone = plug_in()
    if arguments and not arguments[0].startswith("--bench"):
        arguments = ["--benchmark-model", str(phone.benchmark_model), *arguments]
    out = str(tmp_path / "phone.csv")
    result = CliRunner().invoke(app, ["lut", "measure", "--device", phone.device, "--out", out, *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.stderr.replace("\n", " ")


def test_binary_already_on_the_phone(plug_in, adb_server):
    phone = plug_in()
    folder = phone.daemon.root / "data/local/tmp"
    (folder / "mine").write_bytes(phone.benchmark_model.read_bytes())
    (folder / "mine").chmod(0o755)
    with open_phone(phone.daemon.serial, adb_server, "phone:/data/local/tmp/mine", 1, None) as opened:
        assert opened.facts().runtime_build == f"sha256:{_sha256(folder / 'mine')}"


def test_waits_until_the_phone_has_cooled(plug_in, adb_server):
    phone = plug_in()
    sensor = phone.daemon.root / "sys/class/thermal/thermal_zone0/temp"
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        sensor.write_text(f"{60_000 - 5_000 * len(pauses)}\n")

    with open_phone(phone.daemon.serial, adb_server, str(phone.benchmark_model), 1, None) as opened:
        opened._sleep = sleep
        sensor.write_text("60000\n")
        opened.time([build_model(SMALL, Precision.FLOAT32)[0]])
    assert 1 <= len(pauses) <= 3


def test_int8_models_are_pushed_for_int8_tables():
    content, _ = build_model(SMALL, Precision.INT8)
    assert load(content).get_input_details()[0]["dtype"].__name__ == "int8"


def _sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
