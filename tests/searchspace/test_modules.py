"""Modules against the architectures they are built from, and against real weights."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from PIL import Image
from torch import nn

from nas.weights import open_weights
from searchspace import UserError, reference, reference_names
from searchspace.modules import build_network, empty_network
from searchspace.weights import load_network, save_weights
from tests.searchspace.strategies import architectures


def _counted_madds(network: nn.Module, resolution: int) -> int:
    """Count multiply-adds from the layers that really run, independently of `Architecture.ops`."""
    counted = 0

    def count(layer, inputs, output):
        nonlocal counted
        if isinstance(layer, nn.Linear):
            counted += layer.in_features * layer.out_features
        elif isinstance(layer, nn.Conv2d):  # the squeeze-excite layers, which are called as modules
            counted += layer.weight.numel() * output.shape[-1] ** 2

    def count_block(layer, inputs, output):
        nonlocal counted
        counted += layer.conv.weight.numel() * output.shape[-1] ** 2

    for layer in network.modules():
        layer.register_forward_hook(count_block if type(layer).__name__ == "ConvBNAct" else count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, resolution, resolution))
    return counted


@pytest.mark.parametrize("name", reference_names())
def test_built_network_has_the_parameters_its_architecture_says(name):
    network = build_network(reference(name), seed=0)
    assert sum(p.numel() for p in network.parameters()) == reference(name).params


@settings(max_examples=60, deadline=None)
@given(architectures)
def test_built_network_counts_and_shapes_are_the_architectures(architecture):
    network = build_network(architecture, seed=0)
    assert sum(p.numel() for p in network.parameters()) == architecture.params
    assert _counted_madds(network, architecture.resolution) == architecture.madds
    output = network(torch.zeros(2, 3, architecture.resolution, architecture.resolution))
    assert output.shape == (2, architecture.classes)


def test_same_seed_same_weights_and_the_global_random_state_is_left_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, second = (build_network(reference("mnasnet_small"), seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_file_round_trips_and_names_its_architecture(tmp_path):
    network = build_network(reference("mobilenet_v3_small"), seed=1)
    save_weights(network, tmp_path / "weights.safetensors", trained="no")
    again = load_network(tmp_path / "weights.safetensors")
    assert again.architecture == network.architecture
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("damage", ["cut", "noise", "missing", "foreign"])
def test_damaged_weights_are_refused(tmp_path, damage):
    path = tmp_path / "weights.safetensors"
    if damage == "foreign":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, path)
    elif damage != "missing":
        save_weights(build_network(reference("mnasnet_small"), seed=1), path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\xff" * 64)
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        load_network(path)


def _sample_images(shared_data):
    """Yield (224x224 RGB uint8 array, class index) of every sample image."""
    with zipfile.ZipFile(shared_data / "images" / "imagenet_samples.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        for row in rows:
            image = Image.open(io.BytesIO(archive.read(row["file"]))).convert("RGB").crop((16, 16, 240, 240))
            yield np.asarray(image), int(row["class_index"])


def test_pretrained_mobilenet_v2_classifies_as_its_source_does(shared_data):
    """Top-1 within half a point of the TFLite file on the same images, all of them."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the litert extra")
    opened = open_weights(shared_data / "weights" / "mobilenet_v2_1.0_224_float.npz", reference("mobilenet_v2"))
    network = empty_network(opened.architecture).eval()
    network.load_state_dict(opened.state)
    source = litert.Interpreter(str(shared_data / "weights" / "mobilenet_v2_1.0_224_quant.tflite"), num_threads=2)
    source.allocate_tensors()
    source_input, source_output = (
        details[0]["index"] for details in (source.get_input_details(), source.get_output_details())
    )
    ours = theirs = total = 0
    for image, label in _sample_images(shared_data):
        source.set_tensor(source_input, image[None])
        source.invoke()
        theirs += int(source.get_tensor(source_output)[0].argmax() == label + 1)
        with torch.inference_mode():
            logits = network(torch.tensor(image).permute(2, 0, 1)[None].float() / 127.5 - 1)
        ours += int(logits[0].argmax() == label)  # the background class is left out
        total += 1
    assert total > 400
    assert theirs / total > 0.85
    assert abs(ours - theirs) / total <= 0.005
