"""`nas search --data` from a small space to a tested network, and on from an interruption."""

import json
from dataclasses import replace

import numpy as np
import pytest

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.data import load_data
from nas.evaluators import SupernetEvaluator
from nas.jobs.search.found import FoundNetwork
from nas.jobs.search.prepare import prepare_search
from nas.jobs.search.run import run_to_folder
from nas.jobs.search.scoring import Watch
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.supernet_scoring import open_scoring
from nas.runs import RunFolder
from nas.supernets.reuse import identity_of_images, refuse_other_images
from nas.supernets.settings import SupernetSettings
from searchspace import parse
from searchspace.space import load_space
from searchspace.supernet import Supernet
from searchspace.support.errors import UserError
from searchspace.weights import load_network

SMALL = """
format: space/1
name: small
resolution: 64
stem: stem_k3_s2_c8_re
head: head_c32_re
stages:
  - {name: stage1, block: inverted, width: [16, 24], stride: 2, depth: [1, 2, 3], kernel: [3, 5], ratio: [2, 4]}
  - {name: stage2, block: sandglass, width: [32, 48, 64], stride: 2, kernel: [3, 5], ratio: [2, 4], depthwise: both}
"""
IMAGES = SupernetSettings(data="digits", subset=100, epochs=1, winner_epochs=1, search_images=20, batch_size=32)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "small.yaml"
    path.write_text(SMALL)
    extremes = CompiledCost(load_space(path).with_classes(10), load_device("pixel"), True).extremes()
    budget_ms = 0.6 * extremes.slowest_ms + 0.4 * extremes.fastest_ms
    return SearchSettings(budget_ms=budget_ms, space=str(path), evaluations=30, extrapolate=True)


def run(settings, folder, images=IMAGES):
    prepared = prepare_search(settings, open_scoring(images))
    return run_to_folder(prepared, folder, export=False)[1]


def test_a_search_on_images_and_its_continuation(settings, tmp_path):
    first = RunFolder.create(tmp_path / "first", {})
    result = run(settings, first)
    assert result["high_ms"] <= settings.budget_ms
    assert result["trained"]["test"]["count"] == 100
    assert "no test image" in result["accuracy"]["basis"]["images"]
    assert parse(result["architecture"]).classes == 10
    network = load_network(first.file("weights.safetensors"))
    assert str(network.architecture) == result["trained"]["runs_as"] == result["trained"]["evaluated"]["network"]

    # A run that was killed in the search, and one that starts from the first one's supernet.
    second = RunFolder.create(tmp_path / "second", {})
    lines = first.file("journal.jsonl").read_text().splitlines(keepends=True)
    second.file("journal.jsonl").write_text("".join(lines[:2]) + lines[2][:10])
    second.file("supernet.pt").write_bytes(first.file("supernet.pt").read_bytes())
    assert run(settings, second) == json.loads(first.file("result.json").read_text())
    assert second.file("journal.jsonl").read_text() == "".join(lines)

    further = SupernetSettings(**(IMAGES.as_dict() | {"start": str(first.path), "epochs": 0}))
    again = run(settings, RunFolder.create(tmp_path / "third", {}), further)
    assert again["architecture"] == result["architecture"]


def test_a_differentiable_search_and_its_continuation(settings, tmp_path):
    images = SupernetSettings(**(IMAGES.as_dict() | {"mode": "differentiable", "kernel_transform": True, "epochs": 3}))
    asked = replace(settings, strategy="learnt", evaluations=20)
    first = RunFolder.create(tmp_path / "first", {})
    result = run(asked, first, images)
    assert result["high_ms"] <= settings.budget_ms
    assert "probabilities" in result["accuracy"]["basis"]["architecture learnt"]

    second = RunFolder.create(tmp_path / "second", {})
    second.file("supernet.pt").write_bytes(first.file("supernet.pt").read_bytes())
    lines = first.file("journal.jsonl").read_text().splitlines(keepends=True)
    second.file("journal.jsonl").write_text("".join(lines[:2]))
    assert run(asked, second, images) == result
    assert second.file("journal.jsonl").read_text() == "".join(lines)

    # Its supernet serves another search, with what was learnt or without.
    reused = images.as_dict() | {"start": str(first.path), "epochs": 0}
    again = run(asked, RunFolder.create(tmp_path / "third", {}), SupernetSettings(**reused))
    assert again["architecture"] == result["architecture"]
    other = SupernetSettings(**(reused | {"mode": "single-path"}))
    assert run(settings, RunFolder.create(tmp_path / "fourth", {}), other)["high_ms"] <= settings.budget_ms
    with pytest.raises(UserError, match="other kernel transforms"):
        plain = SupernetSettings(**(reused | {"kernel_transform": False}))
        run(asked, RunFolder.create(tmp_path / "fifth", {}), plain)


def test_what_another_training_learnt_is_not_made_up(settings, tmp_path):
    first = RunFolder.create(tmp_path / "first", {})
    run(settings, first)
    images = SupernetSettings(**(IMAGES.as_dict() | {"mode": "differentiable", "start": str(first.path), "epochs": 0}))
    with pytest.raises(UserError, match="holds no learnt architecture, give --epochs"):
        run(replace(settings, strategy="learnt"), RunFolder.create(tmp_path / "second", {}), images)
    with pytest.raises(UserError, match="--supernet-training differentiable"):
        prepare_search(replace(settings, strategy="learnt"), open_scoring(IMAGES))


def test_scores_come_from_search_images_and_repeat(settings):
    scoring = open_scoring(IMAGES)
    space = scoring.scorable(load_space(settings.space))
    supernet = Supernet(space, seed=0, image_size=scoring.data.image_size)
    evaluator = SupernetEvaluator(supernet, scoring.data, search_images=15)
    genotypes = space.sample(np.random.default_rng(0), 3)
    assert (evaluator.top1(genotypes) == evaluator.top1(genotypes)).all()
    assert evaluator.accuracy(genotypes[0]).count == min(15, len(scoring.data.search))
    other = SupernetEvaluator(Supernet(space, seed=1, image_size=8), scoring.data, search_images=15)
    assert other.fingerprint != evaluator.fingerprint


def test_few_images_are_passed_more_often():
    settings = SupernetSettings(data="digits")
    assert [settings.epochs_over(images) for images in (100_000, 2560, 1280, 1257, 40)] == [10, 10, 20, 22, 400]
    assert replace(settings, batch_size=32).epochs_over(1280) == 10
    assert replace(settings, epochs=3).recipe(100).epochs == 3


def test_what_cannot_be_is_refused(settings, tmp_path):
    with pytest.raises(UserError, match="unknown supernet training 'fast'"):
        open_scoring(SupernetSettings(data="digits", mode="fast"))
    with pytest.raises(UserError, match="epochs is 0, expected at least 1"):
        SupernetSettings(data="digits", epochs=0)
    with pytest.raises(UserError, match="warm-up of its own"):
        SupernetSettings(data="digits", mode="differentiable", warm_up=0.1)
    nowhere = SupernetSettings(**(IMAGES.as_dict() | {"start": str(tmp_path), "epochs": 0}))
    with pytest.raises(UserError, match="no such checkpoint"):
        run(settings, RunFolder.create(tmp_path / "run", {}), nowhere)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [({"seed": 1}, "split seed: 0 there, 1 here"), ({"subset": 120}, "subset: 100 there, 120 here")],
)
def test_a_supernet_of_other_images_is_refused(settings, tmp_path, changes, difference):
    """With another seed most search images are training images of the first run."""
    first = RunFolder.create(tmp_path / "first", {})
    prepared = prepare_search(settings, open_scoring(IMAGES))
    prepared.scoring.evaluator(prepared.objective, first, Watch())
    further = SupernetSettings(**(IMAGES.as_dict() | {"start": str(first.path), "epochs": 0} | changes))
    with pytest.raises(UserError, match="trained on other images") as told:
        run(settings, RunFolder.create(tmp_path / "second", {}), further)
    assert difference in str(told.value)


def test_a_supernet_of_other_classes_is_refused(tmp_path):
    digits = load_data("digits", subset=100)
    named = identity_of_images(digits, IMAGES)
    other = replace(digits, classes=tuple("abcdefghij"))
    with pytest.raises(UserError, match="classes: 0, 1, 2"):
        refuse_other_images({"data": "digits at 8 px", **named}, other, IMAGES, tmp_path)
    with pytest.raises(UserError, match="data: cifar10:x there, digits here"):
        refuse_other_images({"data": "cifar10:x at 8 px", **named}, digits, IMAGES, tmp_path)
    refuse_other_images({"data": "digits at 16 px", **named}, digits, IMAGES, tmp_path)


MACRO_LIKE = SupernetSettings(data="digits", subset=100, epochs=1, winner_epochs=1, search_images=20, mode="fair")


def test_the_winner_starts_from_the_weights_that_were_scored(tmp_path):
    """Two genotypes are one network in `macro`; what is trained further is what was scored."""
    scoring = open_scoring(MACRO_LIKE, "macro")
    prepared = prepare_search(SearchSettings(budget_ms=60, space="macro", extrapolate=True), scoring)
    folder = RunFolder.create(tmp_path / "run", {})
    supernet = scoring.evaluator(prepared.objective, folder, Watch()).supernet
    drawn = prepared.space.sample(np.random.default_rng(0), 200)
    other = next(one for one in drawn if (prepared.space.encode(prepared.space.decode(one)) != one).any())
    architecture = prepared.space.decode(other)
    winner = FoundNetwork(
        architecture=architecture, genotype=tuple(other.tolist()), top1=0.0, latency_ms=0.0, low_ms=0.0, high_ms=0.0
    )
    taken = []
    extract = supernet.extract
    supernet.extract = lambda network: taken.append(network) or extract(network)
    scoring.network(winner, folder, Watch())
    assert (taken[0] == other).all()


def test_a_failed_export_does_not_spoil_a_finished_search(settings, tmp_path, monkeypatch):
    def fails(*arguments):
        raise UserError("no converter here")

    scoring = open_scoring(IMAGES)
    monkeypatch.setattr(scoring, "export", fails)
    folder = RunFolder.create(tmp_path / "run", {})
    result = run_to_folder(prepare_search(settings, scoring), folder)[1]
    assert result["export"] == {"failed": "no converter here"} == json.loads(folder.file("export.json").read_text())
    assert "not exported" in folder.file("report.html").read_text()
