"""What a training run starts from: the architecture for the data set's images and classes, and its first weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from searchspace.architecture import Architecture
from searchspace.low_resolution import for_images
from searchspace.modules import Network, build_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import WEIGHTS_FILE, load_state, read_weights

CLASSIFIER = "head.classifier."


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network ready for its first step; `weights` says where its weights come from, in words."""

    network: Network
    weights: str


def find_weights(network: str, weights: str | None, from_scratch: bool) -> Path | None:
    """Return the file a run starts from: the one given, else that of a run folder given as NETWORK, else
    None.

    Raises UserError when both a file and a start from scratch are asked for.
    """
    if weights is not None and from_scratch:
        raise UserError(f"--weights {weights} and --from-scratch exclude each other; give one of them")
    if weights is not None:
        return Path(weights)
    # Compact text is no path, and too long to be asked about as one.
    if from_scratch or "," in network:
        return None
    beside = Path(network) / WEIGHTS_FILE
    return beside if beside.is_file() else None


def start_network(network: str, *, image_size: int, classes: int, weights: Path | None, seed: int) -> Start:
    """Build a network for images of `image_size` pixels and a number of classes, from weights or afresh.

    Weights for another number of classes are taken up to the classifier, which starts afresh. Raises
    UserError when the network is unknown or the weights belong to another one.
    """
    architecture = for_images(resolve_network(network), image_size).with_classes(classes)
    built = build_network(architecture, seed=seed)
    if weights is None:
        return Start(network=built, weights=f"fresh, seed {seed}")
    state, note = _fitting_state(built, architecture, weights)
    load_state(built, state, weights)
    return Start(network=built, weights=f"{weights}{note}")


def _fitting_state(built: Network, architecture: Architecture, weights: Path) -> tuple[dict[str, Tensor], str]:
    source, state, _ = read_weights(weights)
    if source.classes == architecture.classes:
        return state, ""
    fresh = {name: tensor for name, tensor in built.state_dict().items() if name.startswith(CLASSIFIER)}
    return {
        **state,
        **fresh,
    }, f", with a fresh classifier ({source.classes} classes there, {architecture.classes} here)"
