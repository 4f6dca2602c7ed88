"""`nas export`: every format, checked by its runtime; what cannot be is refused before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latency_lut.tflite.read import read_graph
from nas.cli.app import app
from nas.export import Usage
from nas.weights import Preparation
from searchspace import parse
from searchspace.modules import Network, build_network
from searchspace.weights import save_weights
from searchspace.yaml_io import save_architecture

pytest.importorskip("ai_edge_litert")

TINY = "r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_re_se8,head_c16_hs,n10"
LABELS = tuple(f"digit {number}" for number in range(10))


def export(*arguments: object, status: int = 0) -> dict:
    done = CliRunner().invoke(app, ["export", *map(str, arguments), "--json"])
    assert done.exit_code == status, done.output + done.stderr
    return json.loads(done.stdout) if status == 0 else {"stderr": " ".join(done.stderr.split())}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    """A folder as a training on digits leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    folder.mkdir()
    network = build_network(parse(TINY), seed=3)
    save_architecture(network.architecture, folder / "architecture.yaml")
    preparation = Preparation(mean=(0.5,) * 3, std=(0.25,) * 3, image_size=32, crop=1.0)
    save_weights(network, folder / "weights.safetensors", **Usage(preparation=preparation, labels=LABELS).file_notes())
    (folder / "settings.yaml").write_text("data: digits\n")
    return folder, network.eval()


def test_tflite_in_three_precisions_keeps_weights_and_labels(trained: tuple[Path, Network], tmp_path: Path) -> None:
    folder, _ = trained
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        out = tmp_path / f"{precision}.tflite"
        told = export(folder, "--precision", precision, "--out", out)
        assert told["file"] == str(out) and told["format"] == "tflite" and told["precision"] == precision
        assert told["size_bytes"] == out.stat().st_size and told["host_latency_ms"] > 0
        assert told["usage"]["output"]["labels"] == list(LABELS) and told["weights"] == "trained"
        assert told["output_error"] < {"float32": 1e-4, "float16": 1e-2, "int8": 0.3}[precision]
        sizes[precision] = told["size_bytes"]
    assert told["calibration"] == "128 training images of digits" and told["top1_agreement"] > 60
    assert (tmp_path / "labels.txt").read_text().splitlines() == list(LABELS)


def test_onnx_runs_alone_and_says_how_it_is_used(trained: tuple[Path, Network], tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder, network = trained
    told = export(folder, "--format", "onnx", "--out", tmp_path / "m.onnx")
    assert told["output_error"] < 1e-4 and told["format"] == "onnx"
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(session.run(None, {"image": image})[0], expected, rtol=1e-3, atol=1e-4)
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["nas.weights"] == "trained"
    assert json.loads(properties["nas.usage"])["input"]["layout"] == "NCHW"


@pytest.mark.slow
def test_executorch_runs_and_agrees(trained: tuple[Path, Network], tmp_path: Path) -> None:
    pytest.importorskip("executorch")
    told = export(trained[0], "--format", "executorch", "--out", tmp_path / "m.pte")
    assert told["output_error"] < 1e-4 and told["format"] == "executorch"
    assert json.loads((tmp_path / "m.usage.json").read_text())["output"]["labels"] == list(LABELS)


def test_a_point_of_the_front_of_a_search(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["search", "--budget", "60ms", "--evaluations", "1500", "--no-export", "--out", str(run)]
    assert CliRunner().invoke(app, command).exit_code == 0
    told = export(run, "--at", "45", "--out", tmp_path / "at.tflite")
    predicted = told["usage"]["predicted"]
    assert predicted["device"] == "pixel" and predicted["high_ms"] <= 45 and told["weights"] == "untrained"
    assert told["usage"]["architecture"] in (run / "front.csv").read_text()
    assert "is within" in export(run, "--at", "1ms", "--out", tmp_path / "no.tflite", status=2)["stderr"]
    assert not (tmp_path / "no.tflite").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--format", "onnx", "--precision", "int8"], "onnx: float32"),
        (["--format", "coreml"], "tflite: float32, float16, int8"),
        (["--precision", "int4"], "tflite: float32, float16, int8"),
        (["--at", "40"], "no search run"),
        (["--weights", "none.safetensors"], "none.safetensors"),
    ],
)
def test_mistakes_are_refused(tmp_path: Path, arguments: list[str], expected: str) -> None:
    assert expected in export(TINY, *arguments, "--out", tmp_path / "no", status=2)["stderr"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for package, form in (("onnxscript", "onnx"), ("executorch.exir", "executorch")):
        monkeypatch.setitem(sys.modules, package, None)
        told = export(TINY, "--format", form, "--out", tmp_path / "no", status=2)["stderr"]
        assert f"phone-nas[{form}]" in told


def test_a_file_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    out = tmp_path / "m.tflite"
    out.write_bytes(b"mine")
    assert "--force" in export(TINY, "--out", out, status=2)["stderr"] and out.read_bytes() == b"mine"
    export(TINY, "--out", out, "--force")
    assert read_graph(out).operators
