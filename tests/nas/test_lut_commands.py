"""`nas lut validate` and `nas lut calibrate` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latency_lut import LatencyTable
from nas.cli import app

ENDPOINTS = """model,latency_ms
mobilenet_v2,76
mobilenet_v3_large,61
mobilenet_v3_small,19.4
mnasnet_a1,86
no_such_network,1
"""
KEYS = [
    "count", "mean_abs_pct", "median_abs_pct", "p95_abs_pct", "max_abs_pct", "bias_pct", "within_5_pct",
    "within_10_pct", "spearman", "kendall", "coverage_90_pct",
]  # fmt: skip


@pytest.fixture
def endpoints(tmp_path: Path) -> Path:
    path = tmp_path / "times.csv"
    path.write_text(ENDPOINTS)
    return path


def invoke(*arguments: str | Path, status: int = 0):
    result = CliRunner().invoke(app.app, ["lut", *map(str, arguments)], env={"COLUMNS": "120"})
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def test_validate_prints_the_promised_keys(endpoints: Path) -> None:
    document = json.loads(invoke("validate", "pixel2", "--against", endpoints, "--json").stdout)
    assert list(document)[: len(KEYS)] == KEYS
    assert document["count"] == 4
    assert document["mean_abs_pct"] < 5
    assert document["skipped"] == {"unknown network no_such_network": 1}
    assert document["rescaled"] is False


def test_validate_shows_a_table_and_draws_a_picture(endpoints: Path, tmp_path: Path) -> None:
    picture = tmp_path / "errors.png"
    result = invoke("validate", "pixel2", "--against", endpoints, "--plot", picture)
    assert "mean error" in result.stdout and "Largest errors" in result.stdout
    assert "unknown network no_such_network" in result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    rescaled = invoke("validate", "pixel1", "--against", endpoints, "--rescale")
    assert "have seen the answers" in rescaled.stdout


def test_validate_refuses_what_it_cannot_compare(endpoints: Path, tmp_path: Path) -> None:
    assert "either --against FILE or --networks" in invoke("validate", "pixel1", status=2).stderr
    missing = invoke("validate", "pixel1", "--against", tmp_path / "nothing.csv", status=2)
    assert "no such block or network file" in missing.stderr
    endpoints.write_text("model,latency_ms,device\nmobilenet_v2,76,Pixel 2\n")
    other = invoke("validate", "pixel1", "--against", endpoints, status=2)
    assert "no row to compare with: 1 measured on another device" in " ".join(other.stderr.split())


def test_calibrate_writes_a_table_that_says_how_good_it_is(endpoints: Path, tmp_path: Path) -> None:
    out = tmp_path / "my.csv"
    arguments = ("calibrate", "--device", "my_phone", "--endpoints", endpoints, "--base", "pixel1", "-o", out)
    document = json.loads(invoke(*arguments, "--json").stdout)
    assert (document["device"], document["measurements"], document["base"]) == ("my_phone", 4, "pixel1")
    assert document["left_out_error_pct"] <= document["plain_scaling_error_pct"]
    table = LatencyTable.load(out)
    assert table.provenance.left_out_error_pct == document["left_out_error_pct"]
    assert "exists already" in invoke(*arguments, status=2).stderr
    assert "left out" in invoke(*arguments, "--force").stdout
    own = json.loads(invoke("validate", out, "--against", endpoints, "--json").stdout)
    assert own["count"] == 4
    assert own["mean_abs_pct"] < 5


def test_calibrate_refuses_to_start_from_nothing(tmp_path: Path) -> None:
    assert "nothing to calibrate from" in invoke("calibrate", "-o", tmp_path / "x.csv", status=2).stderr
    assert "needs the folder" in invoke("calibrate", "--recipe", "pixel1", "-o", tmp_path / "x.csv", status=2).stderr
