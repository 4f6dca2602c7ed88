"""Exported models: really run, marked with what their weights are, equal to torch."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from searchspace import Activation, Architecture, Head, InvertedResidual, Sandglass, Stem

pytest.importorskip("ai_edge_litert", reason="exporting needs ai-edge-litert")

from latency_lut.tflite import module_model
from nas.export import ExportRecord, check_accuracy, export_network, output_error, weights_mark
from searchspace.modules import Network, build_network
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


def test_other_weights_are_noticed(exported: tuple[Network, Path, ExportRecord]) -> None:
    _, path, _ = exported
    assert output_error(build_network(SMALL, seed=2), path, SMALL.resolution) > 0.01


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
