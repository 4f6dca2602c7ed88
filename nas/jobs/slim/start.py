"""The network a run starts from: its architecture, its weights, and how its images are scaled."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nas.data import load_data
from nas.jobs.slim.settings import SlimSettings
from nas.jobs.slim.tuning import state_of
from nas.training.execution import thread_limit
from nas.training.start import find_weights, start_on
from nas.weights import Preparation, open_weights
from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm, network_asked_for, run_form
from searchspace.resolve import resolve_network


@dataclass(frozen=True)
class InitialNetwork:
    """The network to slim, and the `form` in which it and all its successors run on the images.

    `state` is None where it has to be trained first, `weights` says so in words.
    """

    architecture: Architecture
    form: RunForm
    state: dict[str, Tensor] | None
    weights: str
    preparation: Preparation | None = None


def find_initial(settings: SlimSettings) -> InitialNetwork:
    """Return the network that a run begins with, with as many classes as the data has.

    Weights bring the preparation of images along; for other classes the classifier is fitted to the data. Raises
    UserError for an unknown network and for weights of another one.
    """
    weights = find_weights(settings.network, settings.weights, from_scratch=False)
    asked = network_asked_for(resolve_network(settings.network), settings.image_size)
    opened = open_weights(weights, asked) if weights is not None else None
    preparation = opened.info.preparation if opened is not None else None
    size = settings.image_size or (opened.architecture.resolution if opened is not None else None)
    data = load_data(
        settings.data, size, settings.seed, settings.subset, resolution=asked.resolution, preparation=preparation
    )
    asked = asked.with_classes(len(data.classes))
    if opened is None:
        form = run_form(asked, data.image_size, settings.drop_strides)
        return InitialNetwork(asked, form, None, f"trained here for {settings.seed_epochs} epochs")
    with thread_limit(settings.threads):
        start = start_on(asked, data, opened, seed=settings.seed, dropped_strides=settings.drop_strides)
    return InitialNetwork(asked, start.form, state_of(start.network), start.weights, preparation)
