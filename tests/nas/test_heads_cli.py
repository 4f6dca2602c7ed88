"""`nas show` and `nas latency` with a head."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from nas.cli.app import app


def _run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_show_counts_a_detector():
    found = _run("show", "mobilenet_v3_large@320", "--head", "ssdlite", "--classes", "90", "--json")
    shown = json.loads(found.stdout)
    assert shown["params"] == sum(row["params"] for row in shown["layers"]) == 5_006_735
    assert shown["madds"] == sum(row["madds"] for row in shown["layers"]) == 613_143_104
    assert (shown["task"], shown["classes"], [tap["channels"] for tap in shown["taps"]]) == (
        "detection",
        90,
        [672, 960],
    )
    text = _run("show", "mobilenet_v3_large@320", "--head", "ssdlite").stdout
    assert "predict6" in text and "not published" not in text
    assert "not published" in _run("show", "mobilenet_v3_large", "--head", "lraspp").stdout


def test_latency_of_a_detector_and_of_several_side_by_side():
    alone = json.loads(_run("latency", "mobilenet_v2@320", "--head", "ssdlite", "--json").stdout)
    assert alone["head"] == "ssdlite" and alone["latency_ms"] == pytest.approx(162, rel=0.05)  # V3 paper, table 6
    both = _run("latency", "mobilenet_v2@320", "mobilenet_v3_small@320", "--head", "ssdlite").stdout
    assert [line.split()[0] for line in both.splitlines() if "predict" in line] == [f"predict{n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    "words, message",
    [
        (("show", "mobilenet_v2", "--head", "yolo"), "expected one of ssdlite"),
        (("show", "mobilenet_v2", "--classes", "3"), "give --head too"),
        (("latency", "mobilenet_v2", "--head", "lraspp"), "--extrapolate"),
        (("latency", "mobilenet_v2@100", "--head", "lraspp"), "multiple of its total stride"),
        (("latency", "a.tflite", "--head", "lraspp"), "a finished file"),
    ],
)
def test_mistakes_are_refused(words, message):
    found = _run(*words)
    assert found.exit_code == 2 and message in " ".join(found.stderr.split())
