"""Supernet training: what takes part in a step, resuming, and the differentiable mode."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.data import load_data
from nas.supernets.differentiable import (
    ArchitectureLogits,
    DifferentiableInTraining,
    DifferentiableSettings,
    expected_latency_ms,
    train_differentiably,
)
from nas.supernets.modes import Pass, fair, find_mode, sandwich, shrinking, single_path, with_warm_up
from nas.supernets.training import (
    SupernetInTraining,
    calibration_batches,
    shared_accuracy,
    steps_of,
    train_supernet,
    watching,
)
from nas.training.checkpoint import Checkpoints
from nas.training.execution import Execution
from nas.training.recipes import supernet as supernet_recipe
from nas.training.step import apply_recipe_to_layers
from searchspace.extremes import largest, smallest
from searchspace.space import load_space, space_names
from searchspace.supernet import Supernet
from searchspace.support.errors import UserError

SMALL = """
format: space/1
name: small
resolution: 64
stem: stem_k3_s2_c8_re
head: head_c32_re
per_layer: [kernel]
stages:
  - name: stage1
    stride: 2
    depth: [1, 2]
    kernel: [3, 5]
    options:
      inverted: {width: 16, ratio: 2}
      sandglass: {width: 32, ratio: 2, depthwise: both}
  - {name: stage2, block: inverted, stride: 1, width: [24, 48], kernel: 3, ratio: [1, 4]}
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "small.yaml"
    path.write_text(SMALL)
    return load_space(path).with_classes(10)


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", subset=160)


def passes_of(mode, progress=0.5, seed=0):
    return mode(progress, np.random.default_rng(seed))


def test_single_path_covers_the_space(space):
    mode = single_path(space)
    seen = {tuple(item.genotype) for seed in range(600) for item in passes_of(mode, seed=seed)}
    assert len(seen) == space.count()


@pytest.mark.parametrize("name", ["macro", "mobilenetv3"])
def test_fair_rounds_take_every_value_equally_often(name):
    big = load_space(name)
    genotypes = np.stack([item.genotype for item in passes_of(fair(big))])
    assert len(genotypes) == 3
    always = [i for i, choice in enumerate(big.choices) if not choice.when and len(choice.values) == 3]
    assert (np.sort(genotypes[:, always], axis=0) == np.arange(3)[:, None]).all()


@pytest.mark.parametrize("name", space_names())
def test_a_fair_round_trains_the_options_of_every_place_equally_often(name):
    """Counted on the parts that run; in `macro` a network has several genotypes, each with parts of its own."""
    big = load_space(name)
    supernet, mode = Supernet(big, seed=0, classes=2, image_size=8), fair(big)
    for seed in range(3):
        paths = [supernet._path(item.genotype) for item in passes_of(mode, seed=seed)]
        names = {id(part): name for name, part in supernet.parts.items()}
        ran = Counter(names[id(step.part)] for path in paths for step in path)
        by_place = defaultdict(list)
        for part in supernet.parts:
            stage, *rest = part.split("/")
            stream = rest[2] if len(rest) > 2 else ""
            if rest:
                by_place[stage, rest[0], stream].append(ran[part])
        assert all(len(set(counts)) == 1 for counts in by_place.values()), by_place


def test_a_step_trains_the_genotype_that_was_drawn(digits):
    """Skipping the first of two equal layers is not skipping the second: other weights learn."""
    space = load_space("macro").with_classes(10)
    first, second = (np.zeros(8, np.uint8) for _ in range(2))
    blocks = [[space.layer_block(n, 0, lambda c, k=k: k) for k in range(3)] for n in (3, 4)]
    skip = blocks[0].index(None)
    first[:], second[:] = (skip + 1) % 3, (skip + 1) % 3
    first[3], second[4] = skip, skip
    assert space.decode(first) == space.decode(second)
    for genotype, absent, present in ((first, "layer3", "layer4"), (second, "layer4", "layer3")):
        network = SupernetInTraining(Supernet(space, seed=0, image_size=8))
        take_step = steps_of(lambda progress, rng, g=genotype: [Pass(g)], seed=0, total_steps=1)
        batch = next(iter(digits.train.batches(8)))
        take_step(network, torch.optim.SGD(network.parameters(), 0.1), batch, Execution())
        touched = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
        assert not any(f".{absent}/" in name for name in touched) and any(f".{present}/" in name for name in touched)


def test_a_compiled_supernet_trains_as_a_plain_one(space, digits):
    def trained(compile):
        supernet = Supernet(space, seed=1, image_size=8)
        execution = Execution(compile=compile)
        train_supernet(supernet, digits, supernet_recipe(1).with_batch_size(64), mode="fair", execution=execution)
        return supernet.state_dict()

    plain, compiled = trained(False), trained(True)
    assert all(torch.equal(plain[name], compiled[name]) for name in plain)


def test_the_recipe_reaches_the_modules_that_run(space, digits):
    supernet = Supernet(space, seed=1, image_size=8)
    supernet._path(largest(space))
    recipe = replace(supernet_recipe(1).with_batch_size(64), dropout=0.25, batch_norm_momentum=0.07)
    apply_recipe_to_layers(SupernetInTraining(supernet), recipe, 10_000)
    for genotype in (largest(space), smallest(space)):
        modules = [module for step in supernet._path(genotype) for module in step.template.modules()]
        assert {module.p for module in modules if isinstance(module, torch.nn.Dropout)} == {0.25}
        assert {module.momentum for module in modules if isinstance(module, torch.nn.BatchNorm2d)} == {0.07}


def test_a_differentiable_training_is_watched_on_what_it_trains(space, digits):
    network = DifferentiableInTraining(Supernet(space, seed=1, image_size=8))
    network.logits.values.copy_(torch.where(torch.arange(len(network.logits.values)) % 2 == 0, 50.0, -50.0))
    only = network.logits.most_likely()
    found = watching(digits, 0)(network, list(digits.search.batches(64)))
    calibration = calibration_batches(digits, 0)
    assert found == shared_accuracy(network.supernet, only, calibration, digits.search.batches(64))


def test_the_sandwich_teaches_all_others_by_the_largest(space):
    passes = passes_of(sandwich(space))
    assert (passes[0].genotype == largest(space)).all() and not passes[0].distilled
    assert (passes[1].genotype == smallest(space)).all()
    assert len(passes) == 4 and all(item.distilled for item in passes[1:])


def test_shrinking_frees_kernels_then_depth_then_widths():
    big = load_space("mobilenetv3")
    mode, top = shrinking(big), largest(big)

    def moved(progress):
        drawn = np.stack([item.genotype for seed in range(20) for item in passes_of(mode, progress, seed)])
        fields = {
            choice.path.rsplit("/", 1)[-1] for i, choice in enumerate(big.choices) if (drawn[:, i] != top[i]).any()
        }
        active = big.active(drawn).all(axis=0)
        return fields, active

    assert moved(0.1)[0] == set()
    assert moved(0.3)[0] == {"kernel"} and moved(0.3)[1].all()
    assert "depth" in moved(0.6)[0] and not moved(0.6)[1].all()
    assert moved(0.9)[0] == {"kernel", "depth", "ratio"}


def test_warm_up_starts_with_fair_rounds_and_ends(space):
    mode = with_warm_up(space, single_path(space), share=0.25)
    assert all(len(passes_of(mode, 0.0, seed)) == 2 for seed in range(10))
    assert all(len(passes_of(mode, 0.25, seed)) == 1 for seed in range(10))
    assert {len(passes_of(mode, 0.12, seed)) for seed in range(20)} == {1, 2}


def test_unknown_mode(space):
    with pytest.raises(UserError, match="expected one of single-path, fair, sandwich, shrinking"):
        find_mode("fastest", space)


class Stop(Exception):
    """Stands for a kill between two steps."""


class StopsAt:
    def __init__(self, step):
        self.step = step

    def step_done(self, epoch, step, steps, images):
        if (epoch - 1) * steps + step == self.step:
            raise Stop

    def epoch_done(self, record):
        pass


@pytest.mark.parametrize("mode", ["single-path", "fair", "sandwich", "shrinking"])
def test_a_resumed_training_ends_with_the_same_weights(space, digits, tmp_path, mode):
    recipe = supernet_recipe(2).with_batch_size(32)

    def trained(checkpoints, observer=None):
        supernet = Supernet(space, seed=1, image_size=8)
        train_supernet(supernet, digits, recipe, mode=mode, seed=3, checkpoints=checkpoints, observer=observer)
        return supernet.state_dict()

    whole = trained(None)
    path = tmp_path / "supernet.pt"
    with pytest.raises(Stop):
        trained(Checkpoints(path=path, every_seconds=0), StopsAt(6))
    resumed = trained(Checkpoints(path=path, resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    with pytest.raises(UserError, match="supernet training"):
        train_supernet(
            Supernet(space, seed=1, image_size=8),
            digits,
            recipe,
            mode="fair" if mode != "fair" else "sandwich",
            seed=3,
            checkpoints=Checkpoints(path=path, resume=True),
        )


def test_training_teaches_the_networks_of_the_space(space, digits):
    supernet = Supernet(space, seed=1, image_size=8)
    calibration, genotype = calibration_batches(digits, 0), largest(space)
    before = shared_accuracy(supernet, genotype, calibration, digits.train.batches(128))
    history = train_supernet(supernet, digits, supernet_recipe(12).with_batch_size(32), mode="sandwich")
    after = shared_accuracy(supernet, genotype, calibration, digits.train.batches(128))
    assert after.loss < before.loss - 0.05 and after.top1 > before.top1 + 10
    assert history.final.search.count == len(digits.search)


def test_expected_latency_is_the_mean_over_drawn_networks(space):
    cost = CompiledCost(space, load_device("pixel"), True)
    logits = ArchitectureLogits(space)
    logits.values.copy_(torch.randn(len(logits.values), generator=torch.Generator().manual_seed(0)))
    genotypes = logits.sample(np.random.default_rng(0), 20_000)
    found = expected_latency_ms(logits.log_probabilities(logits.values), cost.slot_factors(), cost.overhead_ms)
    assert float(found) == pytest.approx(cost.latency_ms(genotypes).mean(), rel=0.01)


def test_likelihoods_of_all_networks_sum_to_one(space):
    logits = ArchitectureLogits(space)
    logits.values.copy_(torch.randn(len(logits.values), generator=torch.Generator().manual_seed(0)))
    every = np.stack(list(space.enumerate()))
    likelihood = logits.log_likelihood(logits.log_probabilities(logits.values), every).exp()
    assert float(likelihood.sum()) == pytest.approx(1, abs=1e-5)


def test_differentiable_search_keeps_to_the_latency(space, digits):
    cost = CompiledCost(space, load_device("pixel"), True)
    extremes = cost.extremes()

    def found(target_ms):
        supernet = Supernet(space, seed=1, image_size=8)
        settings = DifferentiableSettings(target_ms=target_ms, latency_weight=10, learning_rate=0.3)
        logits = train_differentiably(supernet, digits, supernet_recipe(6).with_batch_size(32), cost, settings)
        return cost.latency_ms(logits.most_likely()[None])[0]

    assert found(extremes.fastest_ms) < found(extremes.slowest_ms)
