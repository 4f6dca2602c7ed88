"""What pruning has to keep of every network: removing channels that say nothing leaves the function as it was."""

from __future__ import annotations

import torch
from torch import Tensor

from netadapt.groups import Group, Part, Role
from netadapt.layout import weight_layers
from netadapt.proposals import Widths
from netadapt.pruning import prune
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.modules import Network, build_network, empty_network

ALL_WIDTHS = Widths(parts=frozenset(Part))


def network_of(architecture: Architecture, state: dict[str, Tensor]) -> Network:
    """Return the network with these weights, in evaluation mode."""
    network = empty_network(architecture)
    network.load_state_dict(state)
    return network.eval()


def random_state(architecture: Architecture, seed: int = 0) -> dict[str, Tensor]:
    """Return weights of which the batch norms, too, are all different."""
    generator = torch.Generator().manual_seed(seed)
    state = build_network(architecture, seed=seed).state_dict()
    return {
        name: torch.rand(tensor.shape, generator=generator) + 0.5
        if "norm" in name and tensor.is_floating_point()
        else tensor
        for name, tensor in state.items()
    }


def check_layout(architecture: Architecture) -> None:
    """Assert that the layout names every tensor of the network's modules."""
    named = {tensor for layer in weight_layers(architecture) for tensor in (layer.weight, *layer.vectors)}
    state = build_network(architecture, seed=0).state_dict()
    assert named == {tensor for tensor in state if not tensor.endswith("num_batches_tracked")}


def check_masked(architecture: Architecture, group: Group) -> None:
    """Assert that the network pruned of channels answers as the whole one does with those channels masked to zero."""
    width = ALL_WIDTHS.candidates(tuple(architecture.placed_blocks()), group)[0]
    smaller = resized(architecture, {group: width})
    state = random_state(architecture)
    _mask(architecture, state, group, _doomed(architecture, smaller, group, width))
    _mask_lost_squeezes(architecture, smaller, state)
    pruned = prune(architecture, smaller, {group: width}, state)
    side = architecture.resolution
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    expected, found = network_of(architecture, state)(images), network_of(smaller, pruned)(images)
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-4), group.name


def _mask(architecture: Architecture, state: dict[str, Tensor], group: Group, channels: Tensor) -> None:
    """Set everything that writes or carries some channels of a group to zero."""
    for layer in weight_layers(architecture):
        if layer.writes in group.sites and not layer.gates:
            for name in (layer.weight, *layer.vectors):
                if not name.endswith("running_var"):
                    state[name][channels] = 0.0


def _doomed(architecture: Architecture, smaller: Architecture, group: Group, width: int) -> Tensor:
    """Channels to mask: as many on each side of a partial shortcut's boundary as the smaller network loses there."""
    old, new = ([one.shortcut_channels for one in a.placed_blocks()] for a in (architecture, smaller))
    for site in group.sites:
        if site.role is Role.OUT and 1 <= site.layer <= len(old) and 0 < old[site.layer - 1] < group.width:
            before, after = old[site.layer - 1], new[site.layer - 1]
            lead = range(1, 1 + before - after)
            tail = range(before, before + (group.width - before) - (width - after))
            return torch.tensor([*lead, *tail])
    return torch.arange(2, 2 + group.width - width)


def _mask_lost_squeezes(architecture: Architecture, smaller: Architecture, state: dict[str, Tensor]) -> None:
    for number, (old, new) in enumerate(zip(architecture.blocks, smaller.blocks, strict=True)):
        lost = getattr(old, "squeeze", 0) - getattr(new, "squeeze", 0)
        if lost:
            path = f"blocks.{number}.squeeze_excite.reduce"
            state[f"{path}.weight"][:lost] = 0.0
            state[f"{path}.bias"][:lost] = 0.0
