"""The network a run starts from: its architecture, its weights, and how its images are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.data import load_data, sample
from nas.jobs.slim.settings import SlimSettings
from nas.jobs.slim.tuning import Statistics, Tuner, state_of, thread_limit
from nas.training.start import find_weights, start_network
from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm, network_asked_for, run_form
from searchspace.modules import ConvBNAct
from searchspace.pretrained import load_mobilenet_v2_npz
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

SIGNED_UNIT: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # scales pixels to [-1, 1], as TensorFlow's MobileNets
RESTORING_IMAGES = 128


@dataclass(frozen=True)
class Seed:
    """The network to slim, and the `form` in which it and all its successors run on the images.

    `state` is None where it has to be trained first, `weights` says so in words.
    """

    architecture: Architecture
    form: RunForm
    state: dict[str, Tensor] | None
    weights: str
    statistics: Statistics | None = None


def find_seed(settings: SlimSettings) -> Seed:
    """Return the seed of a run, with as many classes as the data has where it brings no weights of its own.

    Raises UserError for an unknown network and for weights of another one.
    """
    weights = find_weights(settings.network, settings.weights, from_scratch=False)
    if weights is not None and weights.suffix == ".npz":
        return _pretrained(settings, weights)
    asked = network_asked_for(resolve_network(settings.network), settings.image_size)
    data = load_data(settings.data, settings.image_size, settings.seed, settings.subset, resolution=asked.resolution)
    asked = asked.with_classes(len(data.classes))
    if weights is None:
        form = run_form(asked, data.image_size, settings.drop_strides)
        return Seed(asked, form, None, f"trained here for {settings.seed_epochs} epochs")
    start = start_network(
        asked,
        image_size=data.image_size,
        classes=len(data.classes),
        weights=weights,
        seed=settings.seed,
        dropped_strides=settings.drop_strides,
    )
    return Seed(asked, start.form, state_of(start.network), start.weights)


def _pretrained(settings: SlimSettings, weights: Path) -> Seed:
    """Take MobileNetV2's published weights, without the background class."""
    network = load_mobilenet_v2_npz(weights)
    state = state_of(network)
    for name in ("head.classifier.weight", "head.classifier.bias"):
        state[name] = state[name][1:].clone()
    architecture = network.architecture.with_classes(1000)
    asked = network_asked_for(resolve_network(settings.network), settings.image_size).with_classes(1000)
    if asked.with_resolution(architecture.resolution) != architecture:
        raise UserError(f"{weights} holds weights of another network: mobilenet_v2, not {settings.network}")
    if settings.drop_strides:
        raise UserError(f"--drop-strides {settings.drop_strides}: {weights} was trained with all its strides")
    data = load_data(
        settings.data,
        settings.image_size,
        settings.seed,
        settings.subset,
        resolution=asked.resolution,
        statistics=SIGNED_UNIT,
    )
    form = RunForm(data.image_size)
    small = Tuner(settings, form, SIGNED_UNIT).network(asked, state)
    with thread_limit(settings.threads):
        restore_batch_norm(small, sample(data.train, RESTORING_IMAGES, settings.seed).images)
    return Seed(asked, form, state_of(small), str(weights), SIGNED_UNIT)


@torch.no_grad()
def restore_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Give batch norm that was folded into its convolutions statistics of its own, measured on `images`.

    The network computes what it did, but can be trained on batches: scale and shift are set to undo exactly what the
    measured mean and variance do.
    """
    found: dict[ConvBNAct, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...], owner: ConvBNAct) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        found[owner] = (values.mean(1), values.var(1, unbiased=False))

    layers = [module for module in network.modules() if isinstance(module, ConvBNAct)]
    hooks = [
        layer.norm.register_forward_pre_hook(lambda norm, inputs, owner=layer: measure(norm, inputs, owner))
        for layer in layers
    ]
    network.eval()(images.to(next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    for layer, (mean, variance) in found.items():
        norm = layer.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.bias.copy_(shift + mean * scale)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
