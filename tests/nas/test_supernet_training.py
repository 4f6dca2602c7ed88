"""Supernet training: what takes part in a step, resuming, and the differentiable mode."""

import numpy as np
import pytest
import torch

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.data import load_data
from nas.supernets.differentiable import (
    ArchitectureLogits,
    DifferentiableSettings,
    expected_latency_ms,
    train_differentiably,
)
from nas.supernets.training import (
    calibration_batches,
    fair,
    find_mode,
    sandwich,
    score_network,
    shrinking,
    single_path,
    train_supernet,
    with_warm_up,
)
from nas.training.checkpoint import Checkpoints
from nas.training.recipes import supernet as supernet_recipe
from searchspace.extremes import largest, smallest
from searchspace.space import load_space
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
    before = score_network(supernet, genotype, calibration, digits.train.batches(128))
    history = train_supernet(supernet, digits, supernet_recipe(12).with_batch_size(32), mode="sandwich")
    after = score_network(supernet, genotype, calibration, digits.train.batches(128))
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


def test_differentiable_search_heeds_the_latency(space, digits):
    cost = CompiledCost(space, load_device("pixel"), True)
    extremes = cost.extremes()

    def found(target_ms):
        supernet = Supernet(space, seed=1, image_size=8)
        settings = DifferentiableSettings(target_ms=target_ms, latency_weight=10, learning_rate=0.3)
        logits = train_differentiably(supernet, digits, supernet_recipe(6).with_batch_size(32), cost, settings)
        return cost.latency_ms(logits.most_likely()[None])[0]

    assert found(extremes.fastest_ms) < found(extremes.slowest_ms)
