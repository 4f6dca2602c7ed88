"""`nas lut import` and `nas lut export`: there and back, and what they refuse."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from latency_lut import LatencyTable, Method
from nas.cli import app


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))


def invoke(*arguments: object, status: int = 0):
    result = CliRunner().invoke(app.app, ["lut", *map(str, arguments)], env={"COLUMNS": "100"})
    assert result.exit_code == status, result.output + str(result.exception)
    return result


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "blocks.yaml"
    document = json.loads(invoke("export", "pixel", path, "--json").stdout)
    assert document["entries"] > 60
    assert document["skipped"] == 0
    return path


def test_an_exported_table_is_imported_as_a_device(exported, tmp_path):
    document = json.loads(invoke("import", exported, "--device", "copy", "--threads", 1, "--json").stdout)
    table = LatencyTable.load(document["table"])
    assert table.provenance.method is Method.IMPORTED
    assert table.provenance.sources == ("blocks.yaml",)
    assert 0 < document["left_out_error_pct"] < 10
    ours, theirs = (
        json.loads(CliRunner().invoke(app.app, ["latency", "proxylessnas_mobile", "--device", device, "--json"]).stdout)
        for device in ("pixel", "copy")
    )
    latency_ms = [_latency_ms(document) for document in (ours, theirs)]
    assert latency_ms[1] == pytest.approx(latency_ms[0], rel=0.05)


def _latency_ms(document):
    return document["latency_ms"] if "latency_ms" in document else document["networks"][0]["latency_ms"]


def test_once_for_all_and_csv_forms(tmp_path):
    path = tmp_path / "v3.yaml"
    invoke("export", "pixel", path, "--form", "once-for-all", "--network", "mobilenet_v3_large")
    assert "-se:1-hs:1" in path.read_text()
    invoke("export", "pixel", tmp_path / "ops.csv", "--form", "csv")
    assert (tmp_path / "ops.csv").read_text().startswith("kind,in_size")


def test_a_file_is_not_replaced_unasked(exported):
    assert "--force" in invoke("export", "pixel", exported, status=2).output
    invoke("export", "pixel", exported, "--force")
    invoke("import", exported, "--device", "copy", "--threads", 1)
    assert "--force" in invoke("import", exported, "--device", "copy", "--threads", 1, status=2).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "pixle", "x.yaml"), "did you mean"),
        (("export", "pixel", "x.yaml", "--network", "mobilenext"), "left out"),
        (("export", "pixel", "x.csv", "--form", "csv", "--space", "mobile"), "neither"),
        (("import", "absent.yaml", "--device", "a", "--threads", "1"), "absent.yaml"),
        (("import", "x.yaml", "--device", "../a", "--threads", "1"), "cannot name a device"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    expected = 0 if message == "left out" else 2
    assert message in " ".join(invoke(*arguments, status=expected).output.split())


def test_a_damaged_table_leaves_nothing_behind(exported, tmp_path):
    exported.write_text(exported.read_text()[:-30] + "\n  mean: -1\n")
    assert "line" in invoke("import", exported, "--device", "copy", "--threads", 1, status=2).output
    assert not (tmp_path / "home").exists()
