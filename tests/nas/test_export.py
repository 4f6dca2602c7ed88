"""Exported models: really run, marked with what their weights are, equal to torch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from searchspace import Activation, Architecture, Head, InvertedResidual, Sandglass, Stem, reference

pytest.importorskip("ai_edge_litert", reason="exporting needs ai-edge-litert")

from latency_lut.tflite import module_model
from latency_lut.tflite.read import read_graph
from nas.export import Calibration, ExportRecord, check_accuracy, export_headed, export_network, weights_mark
from searchspace.heads import HeadedNetwork, head
from searchspace.modules import Network, build_network
from searchspace.modules.headed import build_headed
from searchspace.support.errors import UserError

# Every kind of operation that can go wrong on the way: both blocks, squeeze-excite, h-swish, a partial shortcut.
SMALL = Architecture(
    resolution=32,
    stem=Stem(out=8, activation=Activation.HSWISH),
    blocks=(
        InvertedResidual(kernel=3, stride=2, hidden=24, out=16, activation=Activation.RELU, squeeze=8),
        InvertedResidual(kernel=5, stride=1, hidden=48, out=16, activation=Activation.HSWISH),
        Sandglass(kernel=3, stride=1, hidden=8, out=16, activation=Activation.RELU6, identity=Fraction(1, 2)),
    ),
    head=Head(conv=32, hidden=24, activation=Activation.HSWISH),
    classes=10,
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path, ExportRecord]:
    network = build_network(SMALL, seed=1)
    path = tmp_path_factory.mktemp("export") / "model.tflite"
    return network, path, export_network(network, path, trained=False)


def test_the_file_ran_and_agrees_with_torch(exported: tuple[Network, Path, ExportRecord]) -> None:
    _, path, record = exported
    assert record.host_latency_ms > 0
    assert record.host_runs >= 11
    assert record.output_error < 1e-4
    assert record.size_bytes == path.stat().st_size > 4 * SMALL.params * 0.9


def test_the_file_says_that_its_weights_are_untrained(exported: tuple[Network, Path, ExportRecord]) -> None:
    _, path, record = exported
    assert record.weights == weights_mark(path) == "untrained"
    assert b"untrained weights" in path.read_bytes()


def test_float16_is_half_the_size(exported: tuple[Network, Path, ExportRecord], tmp_path: Path) -> None:
    network, _, full = exported
    record = export_network(network, tmp_path / "half.tflite", trained=True, precision="float16")
    assert record.output_error < 1e-2 and record.size_bytes < 0.9 * full.size_bytes


def test_int8_is_integer_from_input_to_output(exported: tuple[Network, Path, ExportRecord], tmp_path: Path) -> None:
    network, path = exported[0], tmp_path / "int8.tflite"
    images = np.random.default_rng(0).standard_normal((16, 3, 32, 32), np.float32)
    record = export_network(
        network, path, trained=True, precision="int8", calibration=Calibration(images, "16 images of a test"), images=16
    )
    graph = read_graph(path)
    ends = (*graph.inputs, *graph.outputs, *(out for operator in graph.operators for out in operator.outputs))
    assert {tensor.dtype for tensor in ends} == {"int8"}
    convolutions = [one.inputs[1] for one in graph.operators if one.name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    assert all(weights is not None and len(weights.scale) == weights.shape[weights.axis] for weights in convolutions)
    assert record.output_error < 0.2 and record.top1_agreement is not None and record.top1_agreement >= 50
    assert record.fallbacks.get("HARD_SWISH", 0) > 0 and "HARD_SWISH" in " ".join(record.remarks)
    assert "16 images of a test" in " ".join(record.remarks)


def test_int8_without_images_says_so(exported: tuple[Network, Path, ExportRecord], tmp_path: Path) -> None:
    record = export_network(exported[0], tmp_path / "int8.tflite", trained=True, precision="int8")
    assert "noise" in " ".join(record.remarks)


def test_an_unknown_precision_is_refused(exported: tuple[Network, Path, ExportRecord], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="float32, float16, int8"):
        export_network(exported[0], tmp_path / "x.tflite", trained=True, precision="int4")


def test_accuracy_of_the_file_against_torch(exported: tuple[Network, Path, ExportRecord]) -> None:
    import torch

    network, path, _ = exported
    images = np.random.default_rng(0).standard_normal((20, 3, 32, 32), np.float32)
    with torch.no_grad():
        labels = network.eval()(torch.from_numpy(images)).argmax(1).numpy()
    labels[:5] = (labels[:5] + 1) % 10
    check = check_accuracy(network, path, images, labels)
    assert (check.images, check.torch_top1, check.tflite_top1, check.same_answer_pct) == (20, 75.0, 75.0, 100.0)


def test_a_file_that_disagrees_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = module_model(build_network(SMALL, seed=3), (1, 3, 32, 32))
    monkeypatch.setattr("latency_lut.tflite.module_model", lambda *arguments, **options: other)
    with pytest.raises(UserError, match="differ"):
        export_network(build_network(SMALL, seed=2), tmp_path / "model.tflite", trained=True)
    assert not (tmp_path / "model.tflite").exists()


@pytest.mark.parametrize("name", ["ssdlite", "lraspp", "deeplab_lite"])
def test_heads_are_integer_from_input_to_outputs(name: str, tmp_path: Path) -> None:
    network = HeadedNetwork(reference("mobilenet_v3_small_0.75@96"), head(name))
    record = export_headed(build_headed(network, seed=0), tmp_path / "m.tflite", trained=False, precision="int8")
    graph = read_graph(tmp_path / "m.tflite")
    used = {one.dtype for op in graph.operators for one in (*op.inputs, *op.outputs) if one is not None}
    assert "float32" not in used and graph.inputs[0].dtype == "int8"
    assert {op.name for op in graph.operators} >= ({"CONCATENATION"} if name == "ssdlite" else {"RESIZE_BILINEAR"})
    assert {name: one["dtype"] for name, one in record.usage["outputs"].items()}.items() >= {("scores", "int8")}
    assert "noise" in (record.calibration or "") and any("untrained" in one for one in record.remarks)
