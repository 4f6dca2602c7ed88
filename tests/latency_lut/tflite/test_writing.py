"""Files keep what a module computes, in float32, float16 and int8; what is no model is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from latency_lut.tflite import module_model
from latency_lut.tflite.quantise import quantise_int8
from latency_lut.tflite.runtime import delegated_partitions, load, run
from searchspace.support.errors import UserError

SHAPE = (1, 3, 32, 32)


def truth(module, images):
    with torch.no_grad():
        return module(torch.tensor(images)).numpy()


@pytest.fixture(scope="module")
def float_file(network):
    return module_model(network, SHAPE)


@pytest.fixture(scope="module")
def int8_file(float_file, images):
    return quantise_int8(float_file, np.moveaxis(images, 1, -1))


def test_float_outputs_are_those_of_the_module(network, images, float_file):
    np.testing.assert_allclose(
        run(float_file, np.moveaxis(images, 1, -1)), truth(network, images), rtol=1e-4, atol=1e-5
    )


def test_float16_stores_half_and_computes_nearly_the_same(network, images, float_file):
    content = module_model(network, SHAPE, weights="float16")
    wanted = truth(network, images)
    assert np.abs(run(content, np.moveaxis(images, 1, -1)) - wanted).max() < 2e-3 * np.ptp(wanted)
    assert len(content) < 0.9 * len(float_file)
    assert delegated_partitions(load(content)) == 1


def test_int8_outputs_are_near(network, images, int8_file):
    outputs = run(int8_file, np.moveaxis(images, 1, -1))
    assert np.corrcoef(outputs.ravel(), truth(network, images).ravel())[0, 1] > 0.98


class Padded(nn.Module):
    """What PyTorch's own networks do and TensorFlow's do not: symmetric padding at stride 2, zeros set by hand."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 5, 1, 4, dilation=2, groups=8, bias=False)
        self.before = nn.BatchNorm2d(16)

    def forward(self, x):
        x = F.pad(F.relu6(self.norm(self.first(x))), (1, 2, 0, 3))
        x = F.max_pool2d(x, 3, 2)
        return F.hardsigmoid(self.before(F.relu(self.second(x)))).mean((2, 3))


class Dense(nn.Module):
    """Outputs by name: a map, and boxes as detectors lay them out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        boxes = x.permute(0, 2, 3, 1).reshape(1, -1, 4)
        return {"map": F.interpolate(x, size=(48, 40), mode="bilinear"), "boxes": torch.cat((boxes, 2 * boxes), 1)}


def test_padding_that_is_not_same_is_written_out(images, liven):
    module = liven(Padded())
    np.testing.assert_allclose(
        run(module_model(module, SHAPE), np.moveaxis(images, 1, -1)), truth(module, images), rtol=1e-4, atol=1e-5
    )


def test_several_outputs_keep_their_names_and_maps_are_channel_last(images):
    module = Dense().eval()
    runner = load(module_model(module, SHAPE)).get_signature_runner()
    found = runner(input_0=np.moveaxis(images[:1], 1, -1))
    with torch.no_grad():
        wanted = module(torch.tensor(images[:1]))
    assert set(found) == {"map", "boxes"} and found["map"].shape == (1, 48, 40, 8)
    np.testing.assert_allclose(np.moveaxis(found["map"], -1, 1), wanted["map"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["boxes"], wanted["boxes"], rtol=1e-4, atol=1e-5)


def test_what_has_no_operator_is_refused_by_name():
    class Strange(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x).real

    with pytest.raises(UserError, match="_fft"):
        module_model(Strange(), SHAPE)


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(1000), b"x" * 64])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match="LiteRT cannot run"):
        load(path)


def test_a_truncated_model_is_refused(float_file, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(float_file[:2000])
    with pytest.raises(UserError, match="LiteRT cannot run"):
        load(path)


def test_missing_packages_name_the_extra(monkeypatch, network):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UserError, match=r"phone-nas\[litert\]"):
        module_model(network, SHAPE)
