"""The pretrained network that a supernet starts as and learns from: fitted to the data, fine-tuned, channels sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netadapt.pruning import sorted_channels
from searchspace.architecture import Architecture, Padding
from searchspace.low_resolution import SMALL_PX, dropped_between
from searchspace.reference import reference, reference_names
from searchspace.resolve import resolve_network
from searchspace.space import AROUND, load_space
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from nas.data import Data
    from nas.runs.folder import RunFolder
    from nas.supernets.settings import SupernetSettings
    from nas.training.execution import Execution
    from nas.training.history import Observer
    from nas.weights import Weights
    from searchspace.modules import Network

TEACHER = "teacher.pt"


@dataclass(frozen=True)
class Pretrained:
    """A trained network for the data's classes, its strongest channels first; `origin` says in words where from."""

    network: Network
    origin: str


def weights_of(space: str) -> str | None:
    """Return the weights of the run that a space is around, None where it is around no run or none with weights."""
    from nas.training.start import find_weights

    named = _named(space)
    place = None if named is None else find_weights(named, None, False)
    return None if place is None else str(place)


def _named(space: str) -> str | None:
    """The network that a space is around."""
    if not space.startswith(AROUND):
        return None
    network, at, size = space.removeprefix(AROUND).rpartition("@")
    return network if at and size.isdigit() else space.removeprefix(AROUND)


def pretrained_weights(settings: SupernetSettings, space: str) -> Weights | None:
    """Return the weights a search starts from, None where none were given.

    Files that do not name their network are read as the network of an `around:` space, else as the first reference
    network that fits. Raises UserError where none does, and for weights padded on both sides.
    """
    from nas.training.start import find_weights
    from nas.weights import open_weights

    if settings.weights is None:
        return None
    place, named = find_weights("", settings.weights, False), _named(space)
    assert place is not None
    asked = resolve_network(named) if named else None
    opened = _first_that_fits(place) if asked is None else open_weights(place, asked)
    there = opened.architecture
    if asked is not None and dropped_between(asked.with_padding(there.padding), there) != 0:
        raise UserError(f"{place} holds weights of another network than {named}, which the space is around")
    if opened.architecture.padding is not Padding.SAME:
        raise UserError(
            f"{place}: its convolutions are padded on both sides, as in torch; a supernet pads as TensorFlow does, "
            "which these weights were not trained for. Slim them with nas netadapt, or give weights of TensorFlow"
        )
    return opened


def open_images(settings: SupernetSettings, space: str) -> tuple[Data, Weights | None]:
    """Load the images for a space's networks, at its largest resolution, and the weights to start from where given.

    Pretrained weights keep their strides: images are brought to the network's size, and prepared as the weights expect.
    Raises UserError for whatever is wrong with the images, the weights or the space.
    """
    from nas.data import load_data

    resolution = max(load_space(space).spec.resolutions)
    weights = pretrained_weights(settings, space)
    size, prepared = settings.image_size, None
    if weights is not None:
        size, prepared = size or resolution, weights.info.preparation
        if size < SMALL_PX:
            raise UserError(f"images of {size} pixels are too small for a pretrained network: --image-size {SMALL_PX}")
    data = load_data(settings.data, size, settings.seed, settings.subset, resolution=resolution, preparation=prepared)
    return data, weights


def network_name(weights: str) -> str:
    """Return the name of the reference network that a file holds, else the network's compact text."""
    from nas.training.start import find_weights

    place = find_weights("", weights, False)
    assert place is not None
    architecture = _first_that_fits(place).architecture
    for name in reference_names():
        if reference(name).with_classes(architecture.classes) == architecture:
            return name
    return str(architecture)


def space_around(weights: str, image_size: int | None) -> str:
    """Return the name of the space around a file's network, at the resolution of the images."""
    return at_size(f"{AROUND}{network_name(weights)}", image_size)


def space_and_weights(
    space: str | None, weights: str | None, image_size: int | None, default: str
) -> tuple[str, str | None]:
    """Return the space of a supernet on images and the weights it starts from: those given, or those of `around:RUN`.

    Without a space it is the one around the weights' network, without either `default`.
    """
    if space is None:
        return (default, None) if weights is None else (space_around(weights, image_size), weights)
    return at_size(space, image_size), weights or weights_of(space)


def at_size(space: str, image_size: int | None) -> str:
    """Return the name of a space around a network with the resolution that a user gave; other spaces keep theirs."""
    if image_size is None or not space.startswith(AROUND) or "@" in space:
        return space
    if image_size < SMALL_PX:
        raise UserError(
            f"images of {image_size} pixels are too small for a pretrained network with its strides; "
            f"give --image-size {SMALL_PX} or more: images are enlarged to it"
        )
    return f"{space}@{image_size}"


def _first_that_fits(place: str | Path) -> Weights:
    from nas.weights import open_weights

    refusals = []
    for candidate in _candidates(str(place)):
        try:
            return open_weights(place, candidate)
        except UserError as error:
            refusals.append(str(error))
    raise UserError(
        f"{place} holds none of the reference networks; say which network it is: --space around:NETWORK. "
        f"As the first one tried: {refusals[0]}"
    )


def _candidates(place: str) -> Iterator[Architecture]:
    """Yield the reference networks, those first whose name stands in the file's."""
    names = sorted(reference_names(), key=lambda name: (name not in place, -len(name)))
    return (reference(name) for name in names)


def fitted(
    weights: Weights,
    space: str,
    data: Data,
    settings: SupernetSettings,
    folder: RunFolder,
    *,
    execution: Execution,
    observer: Observer | None = None,
) -> Pretrained:
    """Fit pretrained weights to the data's classes, fine-tune them and sort their channels by strength.

    Goes on from the folder's checkpoint. Raises as `nas.training.train` does.
    """
    import torch

    from nas.supernets.trained import checkpoints
    from nas.training.loop import train
    from nas.training.recipes import fine_tune
    from nas.training.start import start_on
    from searchspace.modules import empty_network

    resolution = max(load_space(space).spec.resolutions)
    start = start_on(weights.architecture.with_resolution(resolution), data, weights, seed=settings.seed)
    if settings.teacher_epochs:
        train(
            start.network,
            data,
            fine_tune(settings.teacher_epochs),
            seed=settings.seed,
            execution=execution,
            checkpoints=checkpoints(folder, TEACHER),
            observer=observer,
            identity={"architecture": str(start.network.architecture), "start": start.weights},
        )
    network = empty_network(start.network.architecture)
    with torch.no_grad():
        trained = {name: tensor.cpu().contiguous() for name, tensor in start.network.state_dict().items()}
        network.load_state_dict(sorted_channels(network.architecture, trained))
    tuned = f", fine-tuned for {settings.teacher_epochs} epochs" if settings.teacher_epochs else ""
    return Pretrained(network.eval(), f"{start.weights}{tuned}")
