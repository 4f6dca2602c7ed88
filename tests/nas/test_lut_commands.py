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


PLAIN = {"mobilenet_v2": 76.0, "mobilenet_v3_large": 61.0, "mobilenet_v3_small": 19.4, "mnasnet_a1": 86.0}


def written(path: Path, unit: float, header: str = "model,latency_ms", rest: str = "", mark: str = "") -> Path:
    lines = [header, *(f"{name},{latency_ms * unit:g}{rest}" for name, latency_ms in PLAIN.items())]
    path.write_text(mark + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("unit", "question"), [(1e-3, "are these seconds?"), (1e3, "are these microseconds?")])
def test_times_in_another_unit_are_asked_about(tmp_path: Path, unit: float, question: str) -> None:
    file = written(tmp_path / "times.csv", unit)
    asked = ("calibrate", "--device", "phone", "--endpoints", file, "--base", "pixel1", "--out", tmp_path / "t.csv")
    assert question in " ".join(invoke(*asked, status=2).stderr.split())
    assert json.loads(invoke(*asked, "--any-speed", "--json").stdout)["factor"] == pytest.approx(1.2 * unit, rel=0.1)


def test_a_slow_board_is_calibrated_and_its_factor_told(tmp_path: Path) -> None:
    file = written(tmp_path / "times.csv", 17.0)
    made = invoke("calibrate", "--endpoints", file, "--base", "pixel1", "--out", tmp_path / "t.csv")
    assert "times as long as pixel1" in made.stdout
    predicted = json.loads(invoke("validate", tmp_path / "t.csv", "--against", file, "--json").stdout)
    assert predicted["mean_abs_pct"] < 2
    assert predicted["made_the_table"] is True


@pytest.mark.parametrize(
    ("header", "rest", "mark"),
    [
        ("model,latency_ms", "", "\ufeff"),
        ("model,latency_ms,runtime", ",LiteRT", ""),
        ("model,latency_ms,runtime", ",TensorFlow Lite", ""),
        ("model,latency_ms,threads", ",1.0", ""),
        ("model,latency_ms,precision", ",", ""),
        ("model,latency_ms,depth_multiplier,resolution", ",,", ""),
    ],
)
def test_times_are_read_as_people_write_them(tmp_path: Path, header: str, rest: str, mark: str) -> None:
    file = written(tmp_path / "times.csv", 1.0, header, rest, mark)
    document = json.loads(invoke("validate", "pixel2", "--against", file, "--json").stdout)
    assert (document["count"], document["skipped"]) == (4, {})


def test_a_unit_is_asked_for(tmp_path: Path) -> None:
    unnamed = written(tmp_path / "times.csv", 1.0, "model,latency")
    assert "in which unit" in invoke("validate", "pixel2", "--against", unnamed, status=2).stderr
    unnamed.write_text("model,latency_ms\nmobilenet_v2,76ms\n")
    assert "without its unit" in invoke("validate", "pixel2", "--against", unnamed, status=2).stderr


@pytest.mark.parametrize("name", ["pixel1", "pixel"])
def test_a_table_does_not_take_the_place_of_a_shipped_one_unasked(endpoints: Path, name: str) -> None:
    assert "is a shipped table" in invoke("calibrate", "--device", name, "--endpoints", endpoints, status=2).stderr


def test_devices_tells_aliases_views_and_whose_table_it_is(
    endpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_HOME", str(tmp_path))
    mine = tmp_path / "tables" / "pixel1.csv"
    mine.parent.mkdir()
    invoke("calibrate", "--device", "[/b]", "--endpoints", endpoints, "--base", "pixel2", "--out", mine)
    shown = CliRunner().invoke(app.app, ["devices"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"WARNING: pixel1 is your table {mine}" in shown.stdout
    assert "pixel = pixel1" in shown.stdout and "pixel4:nn_meter" in shown.stdout
    unknown = CliRunner().invoke(app.app, ["latency", "mobilenet_v2", "--device", "pixel9"])
    assert unknown.exit_code == 2
    assert "nas lut measure --device adb" in " ".join(unknown.stderr.split())
    assert "did you mean" not in unknown.stderr
