"""`nas evaluate`: the same numbers as torch's, from weights and from an exported file, for classes that match."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from typer.testing import CliRunner

from nas.cli.app import app
from nas.data import load_data
from nas.jobs.evaluate.run import EvaluateSettings, Part, evaluate_network
from nas.weights import Preparation, WeightsInfo
from nas.weights.labels import match_labels
from searchspace.modules import Network, build_network
from searchspace.support.errors import UserError
from searchspace.text import parse
from searchspace.weights import save_weights

TINY = "r16,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_re,head_c16_hs,n10"
HALF = (0.5, 0.5, 0.5)
DIGITS = tuple("0123456789")


@pytest.fixture()
def run(tmp_path: Path) -> tuple[Path, Network]:
    network = build_network(parse(TINY), seed=0).eval()
    info = WeightsInfo(source="", labels=DIGITS, preparation=Preparation(mean=HALF, std=HALF, image_size=16))
    save_weights(network, tmp_path / "weights.safetensors", **info.file_notes())
    return tmp_path, network


def test_numbers_are_those_of_torch_on_the_images_as_the_weights_expect_them(run: tuple[Path, Network]) -> None:
    folder, network = run
    found = evaluate_network(EvaluateSettings(network=str(folder), data="digits", part=Part.TEST))
    prepared = Preparation(mean=HALF, std=HALF, image_size=16)
    batch = next(iter(load_data("digits", 16, preparation=prepared).test_split().batches(1000)))
    with torch.inference_mode():
        outputs = network(batch.images)
    assert found["count"] == len(batch.labels)
    assert found["top1"] == pytest.approx(100 * (outputs.argmax(1) == batch.labels).float().mean().item(), abs=1e-4)
    top5 = (outputs.topk(5).indices == batch.labels[:, None]).any(1).float().mean().item()
    assert found["top5"] == pytest.approx(100 * top5, abs=1e-4)
    assert found["loss"] == pytest.approx(functional.cross_entropy(outputs, batch.labels).item(), rel=1e-5)
    assert sum(one["count"] for one in found["per_class"].values()) == found["count"]
    hits = sum(one["top1"] * one["count"] / 100 for one in found["per_class"].values())
    assert hits == pytest.approx(found["top1"] * found["count"] / 100)
    three = batch.labels == 3
    assert found["per_class"]["3"]["count"] == int(three.sum())


def test_images_are_cropped_as_the_weights_expect(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(8):
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(
                tmp_path / "images" / name / f"{index}.png"
            )
    network = build_network(parse(TINY).with_classes(2), seed=0)
    losses = {}
    for crop in (0.5, 1.0):
        prepared = Preparation(mean=HALF, std=HALF, image_size=16, crop=crop)
        info = WeightsInfo(source="", labels=("ant", "bee"), preparation=prepared)
        file = tmp_path / f"{crop}.safetensors"
        save_weights(network, file, **info.file_notes())
        settings = EvaluateSettings(
            network=str(parse(TINY).with_classes(2)), weights=str(file), data=f"imagefolder:{tmp_path / 'images'}"
        )
        found = evaluate_network(settings)
        assert found["preparation"]["crop"] == crop
        losses[crop] = found["loss"]
    assert losses[0.5] != losses[1.0]


def test_parts(run: tuple[Path, Network]) -> None:
    folder, _ = run
    count = {part: evaluate_network(EvaluateSettings(network=str(folder), data="digits", part=part)) for part in Part}
    assert count[Part.ALL]["count"] == 1797 == sum(count[part]["count"] for part in Part if part is not Part.ALL)
    default = evaluate_network(EvaluateSettings(network=str(folder), data="digits"))
    assert default["part"] == "all"  # digits bring no test part of their own


def test_labels_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    network = build_network(parse(TINY), seed=0)
    preparation = Preparation(mean=HALF, std=HALF, image_size=16)
    for name, labels in (("a", DIGITS), ("b", DIGITS[::-1])):
        (tmp_path / name).mkdir()
        info = WeightsInfo(source="", labels=labels, preparation=preparation)
        save_weights(network, tmp_path / name / "weights.safetensors", **info.file_notes())
        with torch.no_grad():  # the same function, its outputs in the other order
            network.head.classifier.weight.copy_(network.head.classifier.weight.flip(0).clone())
            network.head.classifier.bias.copy_(network.head.classifier.bias.flip(0).clone())
    one, other = (evaluate_network(EvaluateSettings(network=str(tmp_path / n), data="digits")) for n in "ab")
    assert one["top1"] == other["top1"] and one["per_class"] == other["per_class"]


def test_classes_that_the_network_does_not_know_are_refused(tmp_path: Path) -> None:
    info = WeightsInfo(source="", labels=tuple("abcdefghij"), preparation=None)
    save_weights(build_network(parse(TINY), seed=0), tmp_path / "weights.safetensors", **info.file_notes())
    with pytest.raises(UserError, match="class '0' is not among the network's 10 labels"):
        evaluate_network(EvaluateSettings(network=str(tmp_path), data="digits"))


@pytest.mark.parametrize(
    ("classes", "labels", "outputs", "numbered", "expected"),
    [
        (("b", "a"), ("a", "b"), 2, False, (1, 0)),
        (("tench", "Cock"), ("tench, Tinca tinca", "goldfish", "cock"), 3, False, (0, 2)),
        (("great_white shark",), ("x", "great white shark, white shark"), 2, False, (1,)),
        (("0", "1", "2"), ("x", "y", "z", "w"), 4, True, (0, 1, 2)),
        (("p", "q"), None, 2, False, (0, 1)),
    ],
)
def test_matching(
    classes: tuple[str, ...], labels: tuple[str, ...] | None, outputs: int, numbered: bool, expected: tuple[int, ...]
) -> None:
    assert match_labels(classes, labels, outputs, numbered=numbered).output_of == expected


@pytest.mark.parametrize(
    ("classes", "labels", "outputs", "numbered"),
    [
        (("0", "1"), tuple("abcdefgh"), 8, True),  # ten numbered classes are not the first of a thousand
        (("crane",), ("crane", "crane", "x"), 3, False),  # ImageNet has two cranes
        (("a", "b"), None, 3, False),
    ],
)
def test_what_cannot_be_matched(
    classes: tuple[str, ...], labels: tuple[str, ...] | None, outputs: int, numbered: bool
) -> None:
    with pytest.raises(UserError):
        match_labels(classes, labels, outputs, numbered=numbered)


def test_the_command_prints_one_document(run: tuple[Path, Network]) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(run[0]), "--data", "digits", "--part", "search", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 0 and document["part"] == "search"
    assert {"top1", "top5", "loss", "count", "per_class"} <= document.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet_v2"], "has no weights to evaluate"),
        (["missing.tflite"], "no such file"),
        (["x.tflite", "--weights", "y.npz"], "brings its own weights"),
        (["mobilenet_v2", "--part", "val"], "expected one of: test, search, train, all"),
    ],
)
def test_mistakes_are_a_sentence(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", *arguments, "--data", "digits"])
    assert done.exit_code == 2 and message in " ".join(done.output.split())


def test_top5_is_null_below_five_classes(tmp_path: Path) -> None:
    from PIL import Image

    for shade, name in enumerate(("ant", "bee")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(4):
            Image.new("RGB", (16, 16), (100 * shade, index, 0)).save(tmp_path / "set" / name / f"{index}.png")
    info = WeightsInfo(source="", labels=("ant", "bee"), preparation=None)
    save_weights(
        build_network(parse(TINY.replace("n10", "n2")), seed=0), tmp_path / "weights.safetensors", **info.file_notes()
    )
    found = evaluate_network(EvaluateSettings(network=str(tmp_path), data=f"imagefolder:{tmp_path / 'set'}"))
    assert found["top5"] is None and found["count"] == 8


def test_a_published_file_and_its_weights_agree(shared_data: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = shared_data / "weights" / "mobilenet_v2_1.0_224_quant.tflite"
    data = f"imagefolder:{shared_data / 'images' / 'imagenet_samples.zip'}"
    file = evaluate_network(EvaluateSettings(network=str(path), data=data, subset=50, part=Part.TRAIN))
    weights = evaluate_network(
        EvaluateSettings(network="mobilenet_v2", weights=str(path), data=data, subset=50, part=Part.TRAIN)
    )
    assert file["count"] == weights["count"] >= 40
    assert file["top1"] > 75 and abs(file["top1"] - weights["top1"]) < 8
