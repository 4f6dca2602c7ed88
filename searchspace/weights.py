"""Files of trained weights: safetensors that carry the architecture they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from searchspace.architecture import Architecture
from searchspace.modules import Network, empty_network
from searchspace.support.errors import UserError
from searchspace.support.files import replacing
from searchspace.support.optional import optional_import
from searchspace.text import parse

if TYPE_CHECKING:
    from searchspace.modules.headed import HeadedModule

FORMAT = "weights/1"
HEADED_FILE, HEADED_FORMAT = "headed.safetensors", "nas-headed/1"
WEIGHTS_FILE = "weights.safetensors"


def save_weights(network: Network, path: str | Path, **notes: str) -> None:
    """Write a network's weights, with its architecture and `notes` as text metadata, in one step."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"format": FORMAT, "architecture": str(network.architecture), **notes}
    with replacing(path) as temporary:
        _safetensors(".torch").save_file(state, temporary, metadata)


def read_weights(path: str | Path) -> tuple[Architecture, dict[str, Tensor], dict[str, str]]:
    """Return a file's architecture, tensors by name, and notes.

    Raises UserError for a file that is missing, cut short or not of this project.
    """
    if not Path(path).is_file():
        raise UserError(f"no such weights file: {path}")
    library = _safetensors()
    try:
        with library.safe_open(path, "pt") as file:
            notes = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (library.SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from None
    if notes.pop("format", None) != FORMAT or "architecture" not in notes:
        raise UserError(f"{path} does not say which architecture it belongs to; expected a file saved by this project")
    return parse(notes.pop("architecture")), state, notes


def load_network(path: str | Path) -> Network:
    """Return the network that a weights file holds; raises UserError as `read_weights` does."""
    architecture, state, _ = read_weights(path)
    network = empty_network(architecture)
    load_state(network, state, path)
    return network


def load_state(network: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Fill a network from tensors by name; raises UserError naming the first tensor that does not fit."""
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name not in state or state[name].shape != tensor.shape:
            found = tuple(state[name].shape) if name in state else "nothing"
            raise UserError(
                f"{path} holds weights of another network: {name} should have shape {tuple(tensor.shape)}, "
                f"the file has {found}"
            )
        given = state[name]
        if given.is_floating_point() != tensor.is_floating_point():
            raise UserError(f"{path}: {name} holds {given.dtype} numbers, expected {tensor.dtype}")
        if given.is_floating_point() and not torch.isfinite(given).all():
            raise UserError(f"{path}: {name} holds values that are not finite (NaN or infinite)")
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise UserError(f"{path} holds weights of another network: it also has {unknown[0]}")
    network.load_state_dict(state)


def _safetensors(module: str = "") -> Any:
    return optional_import(f"safetensors{module}", purpose="a file of weights")


def save_headed(module: HeadedModule, path: str | Path, **notes: str) -> None:
    """Write the weights of a network with a head, with both and `notes` as text metadata, in one step."""
    network = module.network
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    head = {"head": network.head.name, "classes": str(network.head.classes)}
    metadata = {"format": HEADED_FORMAT, "architecture": str(network.architecture), **head, **notes}
    with replacing(path) as temporary:
        _safetensors(".torch").save_file(state, temporary, metadata)


def load_headed(path: str | Path) -> tuple[HeadedModule, dict[str, str]]:
    """Return the network with its head that a file holds, and its notes.

    Raises UserError for a file that is missing, cut short or not of this kind.
    """
    from searchspace.heads import HeadedNetwork, head
    from searchspace.modules.headed import HeadedModule

    if not Path(path).is_file():
        raise UserError(f"no such weights file: {path}")
    library = _safetensors()
    try:
        with library.safe_open(path, "pt") as file:
            notes = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (library.SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from None
    if notes.pop("format", None) != HEADED_FORMAT or not {"architecture", "head", "classes"} <= notes.keys():
        raise UserError(f"{path} holds no network with a head; expected a file of nas train --task")
    if not notes["classes"].isdecimal():
        raise UserError(f"{path}: classes is {notes['classes'][:20]!r}, expected a number")
    made = head(notes.pop("head"), int(notes.pop("classes")))
    module = HeadedModule(HeadedNetwork(parse(notes.pop("architecture")), made))
    load_state(module, state, path)
    return module, notes
