"""The supernet computes what its extracted networks compute, and slices what it should."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from searchspace import UserError, reference
from searchspace.low_resolution import drop_strides
from searchspace.modules import Network, build_network
from searchspace.space import load_space
from searchspace.supernet import Supernet, recalibrate, resized
from searchspace.supernet.shared import cut

TINY = """
format: space/1
name: tiny
resolution: [24, 32]
stem: stem_k3_s2_c8_hs
head: head_c32_h48_hs
per_layer: [kernel, ratio, identity]
stages:
  - {name: first, blocks: [ir_k3_s1_h8_c8_re]}
  - name: stage1
    stride: 2
    depth: [1, 2, 3]
    multiplier: [1, 2]
    kernel: [3, 5, 7]
    ratio: [2, 4]
    squeeze: [none, hard]
    activation: [re, hs]
    basis: ends
    options:
      inverted: {width: 8}
      sandglass: {width: 32, depthwise: both, identity: [1, 1/2], first: {identity: 1}}
  - name: stage2
    stride: 2
    width: [40, 48]
    kernel: [3, 5]
    options:
      conv: {}
      separable: {}
      inverted: {ratio: [1, 3]}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "tiny.yaml"
    path.write_text(TINY)
    return load_space(path)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "kernel transform"])
def supernet(request, tiny):
    made = Supernet(tiny, seed=0, classes=7, image_size=16, kernel_transform=request.param)
    with torch.no_grad():  # statistics and transforms that a fresh supernet does not have
        for name, tensor in made.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(0.5, 2)
            elif "running_mean" in name or ".transforms." in name:
                tensor.add_(0.1 * torch.randn(tensor.shape))
    return made


def images(count=2, size=16, seed=0):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def assert_extraction_agrees(supernet, space, seed, size):
    architecture = space.decode(space.sample(np.random.default_rng(seed), 1)[0])
    x = images(size=size)
    supernet.eval()
    with torch.no_grad():
        network = supernet.extract(architecture)
        assert type(network) is Network and not network.training
        assert (supernet(x, architecture) - network(x)).abs().max() <= 1e-6
    assert sum(p.numel() for p in network.parameters()) == supernet.runs_as(architecture).params


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_extracted_networks_compute_what_the_supernet_computes(supernet, tiny, seed):
    assert_extraction_agrees(supernet, tiny, seed, 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mobilenetv3", "mobile", "mnasnet", "proxylessnas", "mobilenext", "macro", "mobilenetv4"]
)
def test_extraction_from_every_shipped_space(name):
    space = load_space(name)
    supernet = Supernet(space, seed=0, classes=10, image_size=32)
    for seed in range(170):
        assert_extraction_agrees(supernet, space, seed, 8)


def test_extraction_agrees_in_training_mode_and_statistics_are_shared(supernet, tiny):
    architecture = tiny.decode(tiny.sample(np.random.default_rng(3), 1)[0])
    supernet.train()
    network = supernet.extract(architecture)
    assert network.training
    x = images(8)
    assert (supernet(x, architecture) - network(x)).abs().max() <= 1e-6
    # Both saw the same batch once: the running statistics of the extracted network are the supernet's again.
    again = supernet.extract(architecture)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_gradients_reach_the_used_corner_and_nothing_else():
    full = torch.randn(6, 4, 5, 5, requires_grad=True)
    small = cut(full, torch.Size((3, 2, 3, 3)))
    assert torch.equal(small, full[:3, :2, 1:4, 1:4])
    small.square().sum().backward()
    expected = torch.zeros_like(full)
    expected[:3, :2, 1:4, 1:4] = 2 * full.detach()[:3, :2, 1:4, 1:4]
    assert torch.equal(full.grad, expected)


def test_unused_layers_get_no_gradient(supernet, tiny):
    supernet.train().zero_grad(set_to_none=True)
    rng = np.random.default_rng(0)
    architecture = next(
        a for a in (tiny.decode(g) for g in tiny.sample(rng, 50)) if len(a.blocks) == 3 and "sg_" in str(a)
    )
    supernet(images(4), architecture).sum().backward()
    touched = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert any("stage1/layer0/sandglass" in name for name in touched)
    assert not any("stage1/layer0/inverted" in name or "stage1/layer1" in name for name in touched)


TWO_KINDS = """
format: space/1
name: kinds
resolution: 32
stem: stem_k3_s2_c8_re
head: head_c32_re
stages:
  - name: one
    stride: 2
    depth: [1, 2]
    options:
      inverted: {width: [8, 16], ratio: 4}
      sandglass: {width: 64, ratio: 4, depthwise: both}
  - name: two
    stride: 1
    options:
      small: {block: inverted, width: 24, kernel: 3, ratio: 2}
      large: {block: inverted, width: 24, kernel: 5, ratio: 4}
"""


def test_what_follows_blocks_of_different_widths_has_weights_for_each(tmp_path):
    (tmp_path / "kinds.yaml").write_text(TWO_KINDS)
    supernet = Supernet(load_space(tmp_path / "kinds.yaml"), seed=0, image_size=32)
    assert [name for name in supernet.parts if name.startswith("two")] == [
        f"two/layer0/{option}/after-{kind}" for option in ("small", "large") for kind in ("inverted", "sandglass")
    ]
    # No layer is made for channels that cannot reach it; both options of stage two have one width, and one head.
    hidden = {
        name: supernet.get_parameter(f"parts.{name}.expand.conv.weight").shape[:2]
        for name in ("one/layer1/inverted", "two/layer0/large/after-inverted", "two/layer0/large/after-sandglass")
    }
    assert list(hidden.values()) == [(64, 16), (64, 16), (256, 64)]
    assert "head" in supernet.parts and not any(name.startswith("head/") for name in supernet.parts)


def test_kernel_transforms_start_as_the_centre_of_the_kernel(tiny):
    plain = Supernet(tiny, seed=0, classes=7, image_size=16)
    transformed = Supernet(tiny, seed=0, classes=7, image_size=16, kernel_transform=True)
    for genotype in tiny.sample(np.random.default_rng(1), 8):
        architecture = tiny.decode(genotype)
        with torch.no_grad():
            assert (plain(images(4), architecture) - transformed(images(4), architecture)).abs().max() < 1e-5


def test_a_foreign_network_is_refused(supernet):
    with pytest.raises(UserError, match="not in space tiny"):
        supernet(images(), reference("mobilenet_v2"))


def test_small_images_drop_early_strides_and_resolution_scales(supernet, tiny):
    architecture = tiny.decode(np.zeros(len(tiny.choices), np.uint8))
    assert architecture.resolution == 24 and supernet.input_size(architecture) == 12
    assert supernet.dropped_strides == 0
    small = Supernet(tiny, seed=0, image_size=8)
    assert small.dropped_strides == 1
    assert small.runs_as(architecture).blocks == drop_strides(architecture, 1).blocks
    assert small.runs_as(architecture).stem.stride == 1
    assert resized(images(), 12).shape == (2, 3, 12, 12)


def test_seed_decides_the_weights(tiny):
    first, second, third = (Supernet(tiny, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_recalibration_measures_the_batches():
    network = build_network(reference("mobilenet_v3_small").with_classes(3), seed=0)
    batches = [images(4, 32, seed) for seed in range(3)]
    recalibrate(network, batches)
    recorded = []
    network.stem.norm.register_forward_hook(lambda module, inputs, output: recorded.append(inputs[0]))
    network.eval()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    mean = torch.stack([x.mean((0, 2, 3)) for x in recorded]).mean(0)
    assert torch.allclose(network.stem.norm.running_mean, mean, atol=1e-5)
    assert network.stem.norm.momentum == 0.01


def test_a_seed_gives_the_same_weights_in_every_process():
    """Names and values of the parameters in order: an optimizer's state is restored by position."""
    program = (
        "import hashlib; from searchspace.space import load_space; from searchspace.supernet import Supernet\n"
        "digest = hashlib.sha256()\n"
        "for name, value in Supernet(load_space('mobile'), seed=0, image_size=8).named_parameters():\n"
        "    digest.update(name.encode() + value.detach().numpy().tobytes())\n"
        "print(digest.hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1


def test_two_supernets_in_two_threads_compute_what_they_do_alone(tiny):
    """One trains while the other evaluates networks of the same blocks: they share no module."""
    genotypes = tiny.sample(np.random.default_rng(0), 6)

    def training(supernet):
        torch.manual_seed(0)
        supernet.train()
        for genotype in genotypes:
            supernet(images(4), genotype).square().mean().backward()
        return [parameter.grad for parameter in supernet.parameters() if parameter.grad is not None]

    def evaluating(supernet):
        supernet.eval()
        with torch.no_grad():
            return [supernet(images(4), genotype) for genotype in genotypes]

    def made():
        return Supernet(tiny, seed=0, classes=7, image_size=16), Supernet(tiny, seed=1, classes=7, image_size=16)

    first, second = made()
    assert not {id(m) for m in first._templates.values()} & {id(m) for m in second._templates.values()}
    alone = training(first), evaluating(second)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            first, second = made()
            trained, evaluated = pool.submit(training, first), pool.submit(evaluating, second)
            together = trained.result(), evaluated.result()
            assert all(
                torch.equal(a, b)
                for one, other in zip(alone, together, strict=True)
                for a, b in zip(one, other, strict=True)
            )
