"""What a training run starts from: the network asked for, how it runs on the data's images, and its first weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm, dropped_between, run_form
from searchspace.modules import Network, build_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import WEIGHTS_FILE, load_state, read_weights

CLASSIFIER = "head.classifier."


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network ready for its first step.

    `asked` is the network that was asked for, `form` how it runs on the images (`network` is built so); `weights` says
    where its weights come from, in words.
    """

    asked: Architecture
    form: RunForm
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


def start_network(
    network: str | Architecture,
    *,
    image_size: int,
    classes: int,
    weights: Path | None,
    seed: int,
    dropped_strides: int | None = None,
) -> Start:
    """Build a network for images of `image_size` pixels and a number of classes, from weights or afresh.

    Weights for another number of classes are taken up to the classifier, which starts afresh; weights keep the strides
    they were trained with. `dropped_strides` says how many first strides of 2 become 1, by default as
    `searchspace.low_resolution.run_form`. Raises UserError when the network is unknown or the weights belong to
    another one.
    """
    asked = resolve_network(network) if isinstance(network, str) else network
    asked = asked.with_classes(classes)
    if weights is None:
        form = run_form(asked, image_size, dropped_strides)
        return Start(
            asked=asked, form=form, network=build_network(form.of(asked), seed=seed), weights=f"fresh, seed {seed}"
        )
    source, state, _ = read_weights(weights)
    dropped = _strides_of(asked, source, weights)
    if dropped_strides not in (None, dropped):
        raise UserError(
            f"{weights} was trained with {dropped} first strides dropped, not {dropped_strides}: "
            "leave --drop-strides out, or train from scratch"
        )
    form = run_form(asked, image_size, dropped)
    built = build_network(form.of(asked), seed=seed)
    state, note = _fitting_state(built, source, state)
    load_state(built, state, weights)
    return Start(asked=asked, form=form, network=built, weights=f"{weights}{note}")


def _strides_of(asked: Architecture, source: Architecture, weights: Path) -> int:
    """Return how many first strides the weights were trained without."""
    dropped = dropped_between(asked, source)
    if dropped is None:
        pairs = zip(str(asked).split(","), str(source).split(","), strict=False)
        first = next(((here, there) for here, there in list(pairs)[1:] if here != there), ("another length", "its own"))
        raise UserError(f"{weights} holds weights of another network: {first[1]} where the network has {first[0]}")
    return dropped


def _fitting_state(built: Network, source: Architecture, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    classes = built.architecture.classes
    if source.classes == classes:
        return state, ""
    fresh = {name: tensor for name, tensor in built.state_dict().items() if name.startswith(CLASSIFIER)}
    return {**state, **fresh}, f", with a fresh classifier ({source.classes} classes there, {classes} here)"
