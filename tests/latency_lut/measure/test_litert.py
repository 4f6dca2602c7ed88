"""Conversion keeps what a network computes; timing and running refuse what is no model."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from latency_lut.measure import litert
from searchspace.support.errors import UserError


def truth(network, images):
    with torch.no_grad():
        return network(torch.tensor(images)).numpy()


@pytest.fixture(scope="module")
def models(converted, images):
    """The network's TFLite file, and its int8 version."""
    return converted, litert.quantise_int8(converted.read_bytes(), np.moveaxis(images, 1, -1))


def test_float_outputs_are_those_of_the_module(network, images, models):
    outputs = litert.run(models[0], np.moveaxis(images, 1, -1))
    np.testing.assert_allclose(outputs, truth(network, images), rtol=1e-3, atol=1e-4)


def test_int8_outputs_are_near(network, images, models):
    wanted = truth(network, images)
    outputs = litert.run(models[1], np.moveaxis(images, 1, -1))
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.98


def test_an_int8_file_is_integer_throughout(models):
    interpreter = litert.load(models[1])
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {detail["dtype"] for detail in ends} == {np.int8}


def test_int8_by_the_convert_argument(tmp_path):
    path = litert.convert(torch.nn.Conv2d(3, 4, 1), (1, 3, 4, 4), tmp_path / "conv.tflite", "int8")
    assert litert.load(path).get_input_details()[0]["dtype"] is np.int8


def test_a_failed_conversion_leaves_no_file(tmp_path):
    class Unsupported(torch.nn.Module):
        def forward(self, x):
            return torch.fft.fft(x).real if x.sum() > 0 else x

    with pytest.raises(Exception):  # noqa: B017 - whatever the converter raises
        litert.convert(Unsupported(), (1, 3, 4, 4), tmp_path / "none.tflite")
    assert list(tmp_path.iterdir()) == []


def test_timing_summarises_runs(models):
    timing = litert.benchmark(models[0], max_s=0.2)
    assert 0 < timing.median_ms < 1000 and timing.runs >= 31 and timing.spread >= 0


def test_spread_ignores_stalls():
    timing = litert.Timing.of([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 50.0])
    assert timing.median_ms == pytest.approx(1.0, rel=0.01) and timing.spread < 0.03
    assert timing.median_error < 0.03 and timing.undisturbed_ms == pytest.approx(0.98, rel=0.01)


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(1000), b"x" * 64])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="LiteRT cannot run"):
        litert.load(path)


def test_a_truncated_model_is_refused(converted, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(converted.read_bytes()[:2000])
    with pytest.raises(UserError, match="LiteRT cannot run"):
        litert.load(path)


def test_missing_packages_name_the_extra(monkeypatch, network):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(UserError, match=r"phone-nas\[litert\]"):
        litert.convert(network, (1, 3, 32, 32), "never.tflite")
