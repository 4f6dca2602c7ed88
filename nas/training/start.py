"""What a training run starts from: the network asked for, how it runs on the data's images, and its first weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas.data import Data, sample
from nas.weights import Weights, WeightsInfo, open_weights
from nas.weights.fit import RESTORING_IMAGES, fit_classifier, fitting_state, restore_batch_norm
from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm, dropped_between, run_form
from searchspace.modules import Network, build_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.weights import WEIGHTS_FILE, load_state


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network ready for its first step.

    `asked` is the network that was asked for, `form` how it runs on the images (`network` is built so); `weights` says
    where its weights come from, in words, and `info` what they bring along. A `fresh_classifier` on weights that were
    trained has yet to be fitted.
    """

    asked: Architecture
    form: RunForm
    network: Network
    weights: str
    info: WeightsInfo | None = None
    fresh_classifier: bool = False


def find_weights(network: str, weights: str | None, from_scratch: bool) -> str | Path | None:
    """Return the file a run starts from: the one given (or `timm:NAME`), else that of a run folder given as NETWORK.

    Raises UserError when both a file and a start from scratch are asked for.
    """
    if weights is not None and from_scratch:
        raise UserError(f"--weights {weights} and --from-scratch exclude each other; give one of them")
    if weights is not None:
        return weights if weights.startswith("timm:") else Path(weights)
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
    weights: Weights | Path | None,
    seed: int,
    labels: tuple[str, ...] | None = None,
    numbered: bool = False,
    dropped_strides: int | None = None,
) -> Start:
    """Build a network for images of `image_size` pixels and a number of classes, from weights or afresh.

    Weights for other classes are taken up to the classifier, which starts afresh (`labels` names the data's classes,
    `numbered` says that they are bare indices); weights keep the strides and the padding they were trained with.
    `dropped_strides` says how many first strides of 2 become 1, by default as `searchspace.low_resolution.run_form`.
    Raises UserError when the network is unknown or the weights belong to another one.
    """
    asked = resolve_network(network) if isinstance(network, str) else network
    asked = asked.with_classes(classes)
    if weights is None:
        form = run_form(asked, image_size, dropped_strides)
        return Start(
            asked=asked, form=form, network=build_network(form.of(asked), seed=seed), weights=f"fresh, seed {seed}"
        )
    opened = open_weights(weights, asked) if isinstance(weights, Path) else weights
    source = opened.info.source
    # A network keeps the padding that its weights were trained with.
    asked = asked.with_padding(opened.architecture.padding)
    dropped = _strides_of(asked, opened.architecture, source)
    if dropped_strides not in (None, dropped):
        raise UserError(
            f"{source} was trained with {dropped} first strides dropped, not {dropped_strides}: "
            "leave --drop-strides out, or train from scratch"
        )
    form = run_form(asked, image_size, dropped)
    built = build_network(form.of(asked), seed=seed)
    state, note, fresh = fitting_state(opened, built, labels, numbered)
    load_state(built, state, source)
    return Start(
        asked=asked,
        form=form,
        network=built,
        weights=f"{source}{note}",
        info=opened.info,
        fresh_classifier=fresh,
    )


def start_on(
    asked: Architecture, data: Data, weights: Weights | None, *, seed: int, dropped_strides: int | None = None
) -> Start:
    """Build a network for a data set and make pretrained weights ready to be trained on it.

    Batch norm that was folded is restored on training images, and a fresh classifier is fitted to their features.
    Raises UserError as `start_network` does.
    """
    start = start_network(
        asked,
        image_size=data.image_size,
        classes=len(data.classes),
        weights=weights,
        seed=seed,
        labels=data.classes,
        numbered=data.numbered,
        dropped_strides=dropped_strides,
    )
    if start.info is not None and start.info.folded:
        restore_batch_norm(start.network, sample(data.train, RESTORING_IMAGES, seed).images)
    if not start.fresh_classifier:
        return start
    images = fit_classifier(start.network, data, seed)
    return replace(start, weights=f"{start.weights}, fitted to {images} training images")


def _strides_of(asked: Architecture, source: Architecture, weights: str) -> int:
    """Return how many first strides the weights were trained without."""
    dropped = dropped_between(asked, source)
    if dropped is None:
        pairs = zip(str(asked).split(","), str(source).split(","), strict=False)
        first = next(((here, there) for here, there in list(pairs)[1:] if here != there), ("another length", "its own"))
        raise UserError(f"{weights} holds weights of another network: {first[1]} where the network has {first[0]}")
    return dropped
