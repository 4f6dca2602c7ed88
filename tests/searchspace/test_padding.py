"""Padding as a property of the network: text, counts, module, exported file, price."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latency_lut import predict
from latency_lut.devices import load_device
from netadapt.resources import Latency, Pricer
from searchspace import OpKind, UserError, load_architecture, parse, reference, save_architecture
from searchspace.architecture import Padding
from searchspace.modules import build_network
from searchspace.space import load_space

SAME = "r32,stem_k3_s2_c8_re,ir_k5_s2_h24_c16_re,ub_k3_m0_s2_h32_c16_re,sg_k3_s1_h8_c16_re,head_c16_re,n5"
SYMMETRIC = SAME.replace("r32,", "r32,symmetric,")


def test_text_and_file_tell_the_padding(tmp_path):
    assert str(parse(SYMMETRIC)) == SYMMETRIC and parse(SYMMETRIC).padding is Padding.SYMMETRIC
    assert parse(SAME).with_padding(Padding.SYMMETRIC) == parse(SYMMETRIC)
    save_architecture(parse(SYMMETRIC), tmp_path / "a.yaml")
    assert load_architecture(tmp_path / "a.yaml") == parse(SYMMETRIC)
    save_architecture(parse(SAME), tmp_path / "b.yaml")
    assert "padding" not in (tmp_path / "b.yaml").read_text()
    (tmp_path / "c.yaml").write_text((tmp_path / "b.yaml").read_text() + "padding: valid\n")
    with pytest.raises(UserError, match="padding is 'valid', expected one of same, symmetric"):
        load_architecture(tmp_path / "c.yaml")
    with pytest.raises(UserError, match="cannot read 'same'"):
        parse(SAME.replace("r32,", "r32,same,"))


def test_only_even_maps_under_stride_2_are_padded_explicitly():
    pads = [op for layer in parse(SYMMETRIC).ops() for op in layer.ops if op.kind is OpKind.PAD]
    assert [(op.in_size, op.in_channels, op.kernel, op.out_size) for op in pads] == [
        (32, 3, 3, 34),
        (16, 24, 5, 20),
        (8, 16, 3, 10),
    ]
    odd = parse(SYMMETRIC).with_resolution(33)
    assert [op.in_size for layer in odd.ops() for op in layer.ops if op.kind is OpKind.PAD] == []
    assert (parse(SYMMETRIC).params, parse(SYMMETRIC).madds) == (parse(SAME).params, parse(SAME).madds)


def test_the_modules_pad_as_torch_does():
    network = build_network(parse(SYMMETRIC), seed=0).eval()
    x = torch.rand(1, 3, 32, 32)
    stem = network.stem
    expected = F.relu(stem.norm(F.conv2d(x, stem.conv.weight, stride=2, padding=1)))
    assert torch.equal(stem(x), expected)
    same = build_network(parse(SAME), seed=0).eval()
    assert not torch.allclose(network(x), same(x))
    odd = torch.rand(1, 3, 33, 33)  # 33, 17, 9: every map is odd, and both paddings are one
    assert torch.allclose(network(odd), same(odd), atol=1e-6)


def test_the_exported_file_pads_explicitly_and_answers_as_torch():
    pytest.importorskip("ai_edge_litert")
    from latency_lut.tflite import module_model
    from latency_lut.tflite.runtime import run

    x = torch.rand(1, 3, 32, 32)
    for text in (SAME, SYMMETRIC):
        network = build_network(parse(text), seed=0).eval()
        found = run(module_model(network, (1, 3, 32, 32)), np.moveaxis(x.numpy(), 1, -1))
        with torch.no_grad():
            expected = network(x).numpy()
        assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def test_padding_has_a_price_and_an_interval():
    table = load_device("pixel")
    same = reference("mobilenet_v2")
    priced, padded = predict(table, same), predict(table, same.with_padding(Padding.SYMMETRIC))
    assert priced.latency_ms < padded.latency_ms < 1.2 * priced.latency_ms
    assert padded.high_ms - padded.latency_ms >= priced.high_ms - priced.latency_ms


def test_a_space_says_that_it_has_no_such_network():
    network = reference("mobilenet_v4_conv_medium").with_padding(Padding.SYMMETRIC)
    with pytest.raises(UserError, match="padding symmetric, expected same"):
        load_space("mobilenetv4").encode(network)


def test_slimming_prices_the_padding():
    network = reference("mobilenet_v2").with_padding(Padding.SYMMETRIC)
    table = load_device("pixel")
    cost = Pricer(Latency(table), network).price(network)
    assert cost.value == pytest.approx(predict(table, network).latency_ms)
