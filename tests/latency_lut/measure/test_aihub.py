"""Measuring on Qualcomm AI Hub: the real client against a stand-in for the service, jobs that are paid once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut import LatencyTable, Precision, predict
from latency_lut.measure import aihub
from latency_lut.measure.backend import build_model
from latency_lut.measure.references import REFERENCES
from latency_lut.roofline import Roofline
from nas.cli.app import app
from searchspace.ops import OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError

sys.path.insert(0, str(Path(__file__).parent))
from aihub_server import PHONE, TOKEN, Service, messages, serve

pytest.importorskip("ai_edge_litert")

NETWORKS = ("mobilenet_v2@96", "mobilenet_v3_small@96", "mobilenet_v2_0.35@128", "mnasnet_a1@96", "mobilenet_v1@128")
RATES = Roofline(
    conv_ms_per_gmadds=0.1, depthwise_factor=15.0, activations_ms_per_mb=0.005, weights_ms_per_mb=0.016,
    launch_ms=0.0011, other_launch_factor=1.0, hswish_factor=1.2, other_factor=0.9, element_bytes=2, channel_tile=32,
)  # fmt: skip


def hash_of(task) -> str:
    return hashlib.sha256(build_model(task, Precision.FLOAT32)[0]).hexdigest()[:24]


def time_ms(name: str) -> float:
    return 0.3 + sum(RATES.estimate(op).latency_ms for layer in reference(name).ops() for op in layer.ops)


@pytest.fixture(scope="module")
def times_ms() -> dict[str, float]:
    return {hash_of(op): 0.25 for op in REFERENCES} | {hash_of(reference(name)): time_ms(name) for name in NETWORKS}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times_ms: dict[str, float]) -> Iterator[Service]:
    try:
        python = Path(aihub.client_python())
        api = messages(python)
    except (UserError, ValueError):
        pytest.skip("needs the qai-hub client in a Python of its own (docs/measuring.md), and NAS_AIHUB_PYTHON")
    found = Service(api, times_ms)
    server = serve(found)
    settings = tmp_path / "client.ini"
    url = f"http://127.0.0.1:{found.port}"
    settings.write_text(f"[api]\napi_token = {TOKEN}\napi_url = {url}\nweb_url = {url}\n")
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(settings))
    monkeypatch.setenv("NAS_AIHUB_PYTHON", str(python))
    monkeypatch.setattr(aihub, "_POLL_S", 0.05)
    yield found
    server.shutdown()
    server.server_close()


def arguments(out: Path, *more: str) -> list[str]:
    networks = [word for name in NETWORKS for word in ("--network", name)]
    return ["lut", "measure", "--device", f"aihub:{PHONE}", *networks, "--out", str(out), *more]


def measure(out: Path, *more: str):
    return CliRunner().invoke(app, arguments(out, *more))


def test_networks_become_a_table_of_rates(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "s24.csv"
    result = measure(out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["networks"] == len(NETWORKS)
    table = LatencyTable.load(out)
    made = table.provenance
    assert (made.device, made.soc) == ("Samsung Galaxy S24 NPU", "qualcomm-snapdragon-8gen3")
    assert made.precision is Precision.FLOAT16
    assert made.runtime_build.startswith("qai-hub ")
    for name in NETWORKS:
        assert predict(table, reference(name)).latency_ms == pytest.approx(time_ms(name), rel=0.05)
    assert predict(table, reference("mobilenet_v3_large@96")).latency_ms == pytest.approx(
        time_ms("mobilenet_v3_large@96"), rel=0.15
    )
    assert len(service.jobs) == len(NETWORKS) + len(REFERENCES)
    assert not (tmp_path / "s24.csv.jobs").exists()
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))
    checked = CliRunner().invoke(
        app, ["lut", "validate", str(out), "--on", f"aihub:{PHONE}", "--networks", NETWORKS[0], "--json"]
    )
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["count"] == 1
    assert json.loads(checked.stdout)["mean_abs_pct"] < 5


def test_a_killed_measuring_pays_for_no_job_twice(service: Service, tmp_path: Path) -> None:
    """Killed while the number of the sixth job was on its way: it is found by its name."""
    out, service.waiting, service.silent_at = tmp_path / "s24.csv", True, 6
    command = [sys.executable, "-m", "nas", *arguments(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=dict(os.environ)) as running:
        assert service.reached.wait(timeout=200)
        running.send_signal(signal.SIGKILL)
    assert len(service.jobs) == 6
    assert not out.exists()
    service.waiting = False
    refused = measure(out)
    assert refused.exit_code == 2
    assert "unfinished run" in refused.stderr.replace("\n", " ")
    result = measure(out, "--resume")
    assert result.exit_code == 0, result.output
    assert len(service.jobs) == len(NETWORKS) + len(REFERENCES)
    assert LatencyTable.load(out).provenance.points_used == len(NETWORKS)


def test_networks_that_fall_back_or_fail_are_left_out_and_said(service: Service, tmp_path: Path) -> None:
    service.on_cpu = {hash_of(reference("mobilenet_v3_small@96")): "HARD_SWISH"}
    out = tmp_path / "s24.csv"
    result = measure(out)
    assert result.exit_code == 0, result.output
    assert "mobilenet_v3_small@96 is left out: HARD_SWISH ran beside the NPU" in result.stderr.replace("\n", " ")
    made = LatencyTable.load(out).provenance
    assert made.points_used == len(NETWORKS) - 1
    assert made.unsupported == (OpKind.HSWISH,)
    service.fails = {hash_of(reference("mnasnet_a1@96"))}
    result = measure(tmp_path / "again.csv")
    assert result.exit_code == 2
    assert "3 networks ran wholly on the NPU" in result.stderr.replace("\n", " ")
    assert "the model did not load" in result.stderr.replace("\n", " ")


def test_an_unknown_phone_and_a_wrong_token_are_said(service: Service, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["lut", "measure", "--device", "aihub:Nokia 3310", "--out", str(tmp_path / "t.csv")]
    )
    assert result.exit_code == 2
    assert f"AI Hub has no device 'Nokia 3310'; it has {PHONE}" in result.stderr.replace("\n", " ")
    settings = Path(os.environ["QAIHUB_CLIENT_INI"])
    settings.write_text(settings.read_text().replace(TOKEN, "another"))
    assert measure(tmp_path / "t.csv").exit_code in (1, 2)


@pytest.mark.parametrize("device", ["aihub:", "aihub:Samsung Galaxy S24/tpu"])
def test_what_names_no_device(device: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["lut", "measure", "--device", device, "--out", str(tmp_path / "t.csv")])
    assert result.exit_code == 2
    assert "names no device of AI Hub" in result.stderr.replace("\n", " ")


def test_a_missing_client_and_token_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    monkeypatch.delenv("NAS_AIHUB_PYTHON", raising=False)
    monkeypatch.setattr(aihub, "is_installed", lambda package: False)
    with pytest.raises(UserError, match="bin/pip install qai-hub"):
        aihub.client_python()
    monkeypatch.setenv("NAS_AIHUB_PYTHON", "/no/such/python")
    with pytest.raises(UserError, match="no such file"):
        aihub.client_python()
    monkeypatch.setenv("NAS_AIHUB_PYTHON", sys.executable)
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(tmp_path / "client.ini"))
    for content in (None, "not settings", "[api]\napi_token =\n"):
        if content is not None:
            (tmp_path / "client.ini").write_text(content)
        result = CliRunner().invoke(app, ["lut", "measure", "--device", f"aihub:{PHONE}"])
        assert result.exit_code == 2
        said = result.stderr.replace("\n", " ")
        assert "no AI Hub token" in said and "configure --api_token" in said


def test_the_list_of_jobs_is_not_believed_blindly(tmp_path: Path) -> None:
    jobs = aihub.Jobs(tmp_path / "t.jobs", {"device": PHONE})
    jobs.begin("a")
    jobs.submitted("a", "j1")
    jobs.begin("c")
    jobs.finished("a", aihub.Profile((1.0, 1.1), (("ADD", "CPU"),)))
    jobs.submitted("b", "j2")
    jobs.failed("b", "does not load")
    jobs.close()
    again = aihub.Jobs(tmp_path / "t.jobs", {"device": PHONE})
    assert (again.numbers, again.begun, again.run) == ({"a": "j1"}, {"c"}, jobs.run)
    assert again.profiles["a"].beside("npu") == ("ADD",)
    again.close()
    with pytest.raises(UserError, match="device"):
        aihub.Jobs(tmp_path / "t.jobs", {"device": "another"})
