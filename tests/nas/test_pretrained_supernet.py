"""A supernet that starts as a pretrained network: the same function at step 0, the strongest channels first."""

import pytest
import torch
from torch import Tensor, nn

from netadapt.pruning import sorted_channels
from searchspace.modules import Network, build_network, empty_network
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.supernet import Supernet, start_from

SIZE = 64


def _trained(name: str, classes: int = 10) -> Network:
    """A network whose batch norm is not that of a fresh one."""
    network = build_network(reference(name).with_resolution(SIZE).with_classes(classes), seed=1).eval()
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                assert isinstance(tensor, Tensor)
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                assert isinstance(tensor, Tensor)
                tensor.normal_(0, 0.1, generator=generator)
    return network


def _images() -> Tensor:
    return torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def _same(one: Tensor, other: Tensor) -> None:
    assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * float(one.abs().max()))


NETWORKS = [
    "mobilenet_v2_0.35",
    "mobilenet_v3_small",
    "mobilenext_0.35",
    "mobilenet_v4_conv_small_0.5",
    "mnasnet_small",
]


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_sorting_channels_changes_nothing(name: str) -> None:
    network = _trained(name)
    sorted_one = empty_network(network.architecture).eval()
    sorted_one.load_state_dict(sorted_channels(network.architecture, network.state_dict()))
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), sorted_one.parameters(), strict=True))
    _same(network(_images()), sorted_one(_images()))


@pytest.mark.parametrize("kernel_transform", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_member_equal_to_the_network_computes_the_same_at_step_0(name: str, kernel_transform: bool) -> None:
    network = _trained(name)
    space = load_space(f"around:{name}@{SIZE}").with_classes(10)
    supernet = Supernet(space, seed=0, kernel_transform=kernel_transform).eval()
    state = sorted_channels(network.architecture, network.state_dict())
    started = start_from(supernet, network.architecture, state)
    assert started.whole and started.taken == started.offered
    _same(network(_images()), supernet(_images(), network.architecture))
    _same(network(_images()), supernet.extract(network.architecture)(_images()))


@torch.no_grad()
def test_larger_kernels_hold_the_network_in_their_centre() -> None:
    network = _trained("mobilenet_v2_0.35")
    space = load_space(f"around:mobilenet_v2_0.35@{SIZE}").with_classes(10)
    supernet = Supernet(space, seed=0).eval()
    start_from(supernet, network.architecture, network.state_dict())
    genotype = space.encode(network.architecture)
    for choice in (k for k, choice in enumerate(space.choices) if choice.path.endswith("/kernel")):
        genotype[choice] = space.choices[choice].values.index(5)
    assert space.decode(genotype) != network.architecture
    _same(network(_images()), supernet(_images(), genotype))


@torch.no_grad()
def test_fewer_channels_keep_the_strongest() -> None:
    network = _trained("mobilenet_v2_0.35")
    state = sorted_channels(network.architecture, network.state_dict())
    norm = {name: state[f"blocks.3.expand.norm.{name}"] for name in ("weight", "running_var")}
    factor = norm["weight"] / (norm["running_var"] + 1e-3).sqrt()
    strength = state["blocks.3.expand.conv.weight"].flatten(1).norm(dim=1) * factor.abs()
    assert (strength.diff() <= 0).all()


@pytest.mark.parametrize(("space_name", "name"), [("mobilenetv3", "mobilenet_v3_large"), ("mobile", "mobilenet_v2")])
@torch.no_grad()
def test_other_spaces_start_as_much_as_fits_and_say_how_much(space_name: str, name: str) -> None:
    network = _trained(name)
    supernet = Supernet(load_space(space_name).with_classes(10), seed=0, image_size=SIZE).eval()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    started = start_from(supernet, network.architecture, network.state_dict())
    assert not started.whole
    assert 0 < started.taken <= started.offered
    assert 0 < started.filled < started.shared
    assert "% of its weights found a place" in str(started)
    changed = [name for name, tensor in supernet.state_dict().items() if not torch.equal(tensor, before[name])]
    assert any(".depthwise." in name for name in changed)
