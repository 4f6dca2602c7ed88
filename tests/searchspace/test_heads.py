"""Heads on backbones: published counts, graphs against modules, feature maps, files against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latency_lut import predict
from latency_lut.devices import load_device
from latency_lut.tflite import module_model
from latency_lut.tflite.runtime import load
from searchspace import UserError, parse, reference
from searchspace.heads import HeadedNetwork, feature_taps, head, head_names
from searchspace.modules import build_network
from searchspace.modules.headed import build_backbone, build_headed

# Million parameters and multiply-adds in 10^9 of SSDLite at 320 px. MobileNetV3 (table 6) counts COCO's 90 identifiers,
# as TensorFlow's detection models do, MobileNetV1, V2 and MobileNeXt (MobileNeXt table 9) its 80 categories.
PUBLISHED = [
    ("mobilenet_v1", "ssdlite", 80, 5.1, 1.3),
    ("mobilenet_v2", "ssdlite", 80, 4.3, 0.80),
    ("mobilenext", "ssdlite_sandglass", 80, 4.3, 0.8),
    ("mnasnet_a1", "ssdlite", 90, 4.88, 0.84),
    ("mobilenet_v3_large", "ssdlite", 90, 4.97, 0.62),
    ("mobilenet_v3_large", "ssdlite_halved", 90, 3.22, 0.51),
    ("mobilenet_v3_small", "ssdlite", 90, 2.49, 0.21),
    ("mobilenet_v3_small", "ssdlite_halved", 90, 1.77, 0.16),
]


@pytest.mark.parametrize("name, kind, classes, params_m, madds_g", PUBLISHED)
def test_published_counts_are_met_within_two_percent(name, kind, classes, params_m, madds_g):
    network = HeadedNetwork(reference(f"{name}@320"), head(kind, classes))
    assert network.params / 1e6 == pytest.approx(params_m, rel=0.02)
    assert network.madds / 1e9 == pytest.approx(madds_g, rel=0.02)


def test_lraspp_layer_by_layer():
    """No count of it alone is published: these are by hand, on V3-Large at 320 px (40 and 10 px maps)."""
    network = HeadedNetwork(reference("mobilenet_v3_large@320"), head("lraspp"))
    deep, gate, classify, enlarge = network.layers[-4:]
    assert (deep.params, deep.madds) == (960 * 128 + 2 * 128, 10 * 10 * 960 * 128)
    assert (gate.params, gate.madds) == (960 * 128 + 128, 960 * 128)
    assert classify.params == 128 * 21 + 21 + 40 * 21 + 21
    assert classify.madds == 40 * 40 * (128 + 40) * 21
    assert (enlarge.params, str(enlarge.ops[0])) == (0, "resize 40x40 21 x8")


def test_deeplab_lite_layer_by_layer():
    network = HeadedNetwork(reference("mobilenet_v2@320"), head("deeplab_lite"))
    parts = {layer.name: layer for layer in network.layers}
    assert (parts["branch1"].params, parts["branch1"].madds) == (96 * 128 + 256, 400 * 96 * 128)
    assert parts["branch2"].params == 9 * 96 + 2 * 96 + 96 * 128 + 256
    assert [layer.ops[0].dilation for name, layer in parts.items() if name in ("branch2", "branch3", "branch4")] == [
        3,
        6,
        9,
    ]
    assert parts["project"].params == 5 * 128 * 128 + 256
    assert "block14" not in parts, "nothing behind stride 16 runs"


@pytest.mark.parametrize("kind", head_names())
@pytest.mark.parametrize("name", ["mobilenet_v3_small@128", "mobilenext_0.5@128", "mobilenet_v4_conv_small@128"])
def test_counts_are_those_of_the_module_and_outputs_have_their_shapes(name, kind):
    network = HeadedNetwork(reference(name), head(kind, 5))
    module = build_headed(network, seed=0).eval()
    assert sum(parameter.numel() for parameter in module.parameters()) == network.params
    with torch.no_grad():
        outputs = module(torch.zeros(2, 3, 128, 128))
    if kind.startswith("ssdlite"):
        anchors = 3 * 64 + 6 * (16 + 4 + 1 + 1 + 1)
        assert outputs["boxes"].shape == (2, anchors, 4) and outputs["scores"].shape == (2, anchors, 6)
    else:
        assert outputs["scores"].shape == (2, 5, 128, 128)


def test_feature_maps_at_strides_4_to_32_with_the_classifiers_weights():
    architecture = reference("mobilenet_v3_large@64")
    taps = feature_taps(architecture)
    assert [(tap.stride, tap.size, tap.channels) for tap in taps] == [
        (4, 16, 24),
        (8, 8, 40),
        (16, 4, 112),
        (32, 2, 960),
    ]
    inner = feature_taps(architecture, inside=True)
    assert [tap.channels for tap in inner] == [72, 240, 672, 960]
    network = build_network(architecture, seed=3)
    backbone = build_backbone(architecture, taps, seed=0)
    missing, unexpected = backbone.load_state_dict(network.state_dict(), strict=False)
    assert not missing and all("hidden" in name or "classifier" in name for name in unexpected)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = backbone.eval()(image)
        expected = network.eval().head.conv(network.blocks(network.stem(image)))
    assert torch.equal(maps["stride32"], expected)
    assert {name: tuple(found.shape[1:]) for name, found in maps.items()} == {
        tap.name: (tap.channels, tap.size, tap.size) for tap in taps
    }


def test_a_head_without_its_feature_map_is_refused():
    shallow = parse("r64,stem_k3_s2_c16_re,ir_k3_s2_h32_c16_re,head_re,n5")
    with pytest.raises(UserError, match=r"no feature map at stride 16: its blocks' maps are at strides 4"):
        HeadedNetwork(shallow, head("ssdlite"))
    with pytest.raises(UserError, match="multiple of its total stride"):
        HeadedNetwork(reference("mobilenet_v2@100"), head("lraspp"))
    with pytest.raises(UserError, match="unknown head 'yolo', expected one of ssdlite"):
        head("yolo")


@pytest.mark.parametrize("kind", head_names())
def test_a_head_is_priced_with_its_backbone(kind):
    network = HeadedNetwork(reference("mobilenet_v3_large"), head(kind))
    prediction = predict(load_device("pixel"), network, allow_extrapolation=True)
    assert [layer.name for layer in prediction.layers] == [layer.name for layer in network.layers]
    assert prediction.latency_ms > 0


@pytest.mark.parametrize("kind", head_names())
def test_the_tflite_file_computes_what_torch_does(kind):
    module = build_headed(HeadedNetwork(reference("mobilenet_v2_0.35@96"), head(kind, 4)), seed=0).eval()
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 96, 96), np.float32))
    with torch.no_grad():
        expected = module(image)
    runner = load(module_model(module, (1, 3, 96, 96))).get_signature_runner()
    found = runner(**{next(iter(runner.get_input_details())): np.moveaxis(image.numpy(), 1, -1)})
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        values = found[name] if found[name].ndim == 3 else np.moveaxis(found[name], -1, 1)
        np.testing.assert_allclose(values, tensor.numpy(), atol=1e-3 * float(tensor.abs().max()))
