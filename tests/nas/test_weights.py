"""Weights from anywhere: the same function as their origin, what belongs to them kept, everything else refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import load_data, sample
from nas.training.evaluation import evaluate
from nas.training.start import start_on
from nas.weights import Preparation, Weights, WeightsInfo, open_weights
from nas.weights.file_layers import FileLayer, Norm, fill_network
from nas.weights.fit import restore_batch_norm
from searchspace.modules import build_network, empty_network
from searchspace.reference import reference
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.text import parse
from searchspace.weights import save_weights

TINY = parse("r32,stem_k3_s2_c8_hs,ir_k3_s2_h16_c16_re,ir_k5_s1_h32_c16_re_se8,head_c32_h24_hs,n5")
TINY_DIGITS = "r16,stem_k3_s2_c16_hs,ir_k3_s2_h32_c16_re,head_c64_hs,n10"
QUANT = "mobilenet_v2_1.0_224_quant.tflite"
FLOAT = "mobilenet_v2_1.0_224_float.npz"


# --- published files ------------------------------------------------------------------------------------------------


def test_the_tflite_file_and_the_npz_made_from_it_hold_the_same_weights(shared_data: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    asked = reference("mobilenet_v2")
    file, arrays = (open_weights(shared_data / "weights" / name, asked) for name in (QUANT, FLOAT))
    assert file.architecture == arrays.architecture == asked  # 1000 classes: the background is left out
    assert all(torch.equal(file.state[name], arrays.state[name]) for name in file.state)
    assert (
        file.info.labels is not None and file.info.labels[0] == "tench, Tinca tinca" and len(file.info.labels) == 1000
    )
    assert file.info.preparation == Preparation(mean=(128 / 255,) * 3, std=(128 / 255,) * 3, image_size=224)


def test_the_network_computes_what_the_file_computes(shared_data: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from latency_lut.tflite.runtime import run

    opened = open_weights(shared_data / "weights" / QUANT, reference("mobilenet_v2"))
    network = empty_network(opened.architecture)
    network.load_state_dict(opened.state)
    images = np.clip(np.random.default_rng(0).standard_normal((2, 3, 224, 224)), -1, 1).astype(np.float32)
    with torch.inference_mode():
        ours = network.eval()(torch.from_numpy(images)).softmax(1).numpy()
    theirs = run(shared_data / "weights" / QUANT, np.moveaxis(images, 1, -1))[:, 1:]
    assert (ours.argmax(1) == theirs.argmax(1)).all()


@pytest.mark.parametrize("name", [QUANT, FLOAT])
@pytest.mark.parametrize(
    ("asked", "layer"),
    [
        ("mobilenet_v3_large", "stem"),
        ("mobilenet_v2_0.75", "stem"),
        (str(reference("mobilenet_v2")).replace("ir_k3_s1_h144_c24", "ir_k5_s1_h144_c24"), "blocks.2.depthwise"),
    ],
)
def test_weights_of_another_network_name_the_first_layer_that_differs(
    shared_data: Path, name: str, asked: str, layer: str
) -> None:
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(UserError, match=f"first layer that differs is {layer} "):
        open_weights(shared_data / "weights" / name, resolve_network(asked))


# --- our own exports and files --------------------------------------------------------------------------------------


def trained_tiny() -> torch.nn.Module:
    network = build_network(TINY, seed=0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    network.train()(torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    torch.nn.init.normal_(network.head.classifier.weight, generator=torch.Generator().manual_seed(1))
    return network.eval()


def test_an_export_of_ours_is_read_back_as_the_same_function(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from nas.export import export_network

    network = trained_tiny()
    export_network(network, tmp_path / "model.tflite", trained=True)
    opened = open_weights(tmp_path / "model.tflite", TINY)
    again = empty_network(opened.architecture)
    again.load_state_dict(opened.state)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(network(images), again.eval()(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("r32,stem_k3_s1_c8_hs,ir_k3_s2_h16_c16_re,ir_k5_s1_h32_c16_re_se8,head_c32_h24_hs,n5", "stem .*stride is 2"),
        ("r32,stem_k3_s2_c8_re,ir_k3_s2_h16_c16_re,ir_k5_s1_h32_c16_re_se8,head_c32_h24_hs,n5", "stem .*followed by"),
        ("r32,stem_k3_s2_c8_hs,ir_k3_s2_h16_c16_re,ir_k3_s1_h32_c16_re_se8,head_c32_h24_hs,n5", "blocks.1.depthwise "),
        ("r32,stem_k3_s2_c8_hs,ir_k3_s2_h16_c16_re,head_c32_h24_hs,n5", "differs is head.conv "),
    ],
)
def test_strides_and_activations_are_compared_too(tmp_path: Path, other: str, message: str) -> None:
    pytest.importorskip("ai_edge_litert")
    from nas.export import export_network

    export_network(trained_tiny(), tmp_path / "model.tflite", trained=True)
    with pytest.raises(UserError, match=message):
        open_weights(tmp_path / "model.tflite", parse(other))


def test_what_belongs_to_weights_is_kept_in_the_file(tmp_path: Path) -> None:
    preparation = Preparation(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), image_size=96, crop=0.9)
    info = WeightsInfo(
        source=str(tmp_path / "w.safetensors"), preparation=preparation, labels=("a", "ä", "c", "d", "e")
    )
    save_weights(build_network(TINY, seed=0), tmp_path / "w.safetensors", **info.file_notes())
    assert open_weights(tmp_path / "w.safetensors").info == info


def test_damaged_numbers_are_refused_by_name(tmp_path: Path) -> None:
    network = build_network(TINY, seed=0)
    with torch.no_grad():
        network.blocks[1].project.conv.weight[0, 0] = float("nan")
    save_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"'blocks.1.project.conv.weight' holds numbers that are not finite"):
        open_weights(tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **{"00_CONV_w": np.zeros((8, 3, 3, 3), np.int8), "00_CONV_b": np.zeros(8, np.float32)})
    with pytest.raises(UserError, match=r"'00_CONV_w' holds int8 numbers without a scale"):
        open_weights(tmp_path / "w.npz", TINY)


def test_batch_norm_of_another_epsilon_is_the_same_function() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 3, 3, 3, generator=generator)
    scale, shift, mean = (torch.randn(8, generator=generator) for _ in range(3))
    variance = torch.tensor([0.0, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 3.0, 9.0])
    norm = Norm(weight=scale, bias=shift, mean=mean, variance=variance, epsilon=1e-5)
    architecture = parse("r8,stem_k3_s1_c8_li,ds_k3_s1_c8_re,head_re,n4")
    whole = build_network(architecture, seed=0)
    rest = [
        FileLayer(name=name, weight=module.conv.weight, bias=None, norm=None)
        for name, module in (("dw", whole.blocks[0].depthwise), ("pw", whole.blocks[0].pointwise))
    ]
    last = FileLayer(name="fc", weight=whole.head.classifier.weight, bias=whole.head.classifier.bias)
    stem = FileLayer(name="stem", weight=weight, norm=norm)
    network = fill_network(architecture, [stem, *rest, last], "here")
    images = torch.randn(2, 3, 8, 8, generator=generator)
    expected = torch.nn.functional.conv2d(images, weight, padding=1)
    expected = torch.nn.functional.batch_norm(expected, mean, variance, scale, shift, eps=1e-5)
    with torch.inference_mode():
        assert torch.allclose(network.stem(images), expected, rtol=1e-4, atol=1e-4)


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "w.tflite", "w.bin", "w"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"x" * 100, b"\xff" * 16])
def test_files_of_another_form_are_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        open_weights(tmp_path / name, TINY)


def test_empty_and_unlike_npz_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "named.npz")
    np.savez(tmp_path / "objects.npz", **{"0_w": np.array([{}], dtype=object)}, allow_pickle=True)
    for name in ("empty.npz", "named.npz", "objects.npz"):
        with pytest.raises(UserError, match=name):
            open_weights(tmp_path / name, TINY)


# --- training from them ---------------------------------------------------------------------------------------------


def test_restored_batch_norm_is_the_same_function_and_can_be_trained(shared_data: Path) -> None:
    opened = open_weights(shared_data / "weights" / FLOAT, reference("mobilenet_v2@96"))
    network = empty_network(opened.architecture)
    network.load_state_dict(opened.state)
    spec = f"imagefolder:{shared_data / 'images' / 'imagenet_samples.zip'}"
    assert opened.info.preparation is not None
    data = load_data(spec, 96, subset=300, preparation=opened.info.preparation, quiet=True)
    batch = sample(data.train, 256, 0)
    with torch.no_grad():
        before = network.eval()(batch.images)
        restore_batch_norm(network, batch.images)
        after = network.eval()(batch.images)
        assert (after - before).abs().max() <= 1e-5 * before.abs().max()
        norms = network.blocks[3].expand.conv.weight.flatten(1).norm(dim=1)
        assert torch.allclose(norms, torch.ones_like(norms))
        found = [
            (outputs.argmax(1) == batch.labels).float().mean().item()
            for outputs in (before, network.train()(batch.images))
        ]
    assert found[0] > 0.3 and abs(found[0] - found[1]) <= 0.02


def test_a_classifier_for_other_classes_is_fitted_to_the_data() -> None:
    data = load_data("digits", 16)
    start = start_on(parse(TINY_DIGITS), data, None, seed=0)
    weights = Weights(
        architecture=start.network.architecture.with_classes(7),
        state=build_network(parse(TINY_DIGITS).with_classes(7), seed=0).state_dict(),
        info=WeightsInfo(source="here", labels=tuple("abcdefg")),
    )
    fitted = start_on(parse(TINY_DIGITS), data, weights, seed=0)
    assert "fresh classifier (7 classes there, 10 here), fitted to" in fitted.weights
    assert evaluate(fitted.network, data.search.batches(64)).top1 > 50  # random features, a fitted classifier


def test_a_classifier_whose_classes_are_found_by_name_is_kept_in_the_order_of_the_data() -> None:
    network = build_network(parse(TINY_DIGITS), seed=1)
    labels = tuple("5678901234")
    weights = Weights(
        architecture=network.architecture, state=network.state_dict(), info=WeightsInfo(source="here", labels=labels)
    )
    start = start_on(parse(TINY_DIGITS), load_data("digits", 16), weights, seed=0)
    expected = network.head.classifier.weight[[labels.index(str(digit)) for digit in range(10)]]
    assert not start.fresh_classifier and torch.equal(start.network.head.classifier.weight, expected)
