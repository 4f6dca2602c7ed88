"""Scores of untrained networks, each a formula over one batch: quick, and no accuracies.

Abdelfattah et al., arXiv 2101.08134, compare the first four; weights are fresh, drawn by the seed. The logarithms order
networks as the published sums do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.evaluators._train import image_form
from nas.objectives import Values
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError
from searchspace.support.files import sha256_text

if TYPE_CHECKING:
    from torch import Tensor

    from searchspace.modules import Network

_BATCH = 32
_REFERENCE = 20  # random networks among which a score is placed
_STEP = 0.01  # of the disturbed input, as published with Zen


def grad_norm(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return log of the sum over layers of the norm of the loss's gradient (arXiv 2101.08134, 3.1)."""
    return math.log(sum(float(grad.norm()) for _, grad in _gradients(network, images, labels)))


def snip(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return log of the sum over weights of |gradient x weight| (Lee et al., arXiv 1810.02340)."""
    return math.log(sum(float((weight * grad).abs().sum()) for weight, grad in _gradients(network, images, labels)))


def synflow(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return log of the sum over weights of gradient x weight, for weights made positive and an image of ones.

    Tanaka et al., arXiv 2006.05467. Activations are left out: all they get is positive, and their upper ends would
    hide what flows.
    """
    import torch

    from searchspace.architecture import Activation

    network = network.double().eval()
    for module in network.modules():
        if hasattr(module, "activation"):
            vars(module)["activation"] = Activation.LINEAR
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(images[:1], dtype=torch.float64)).sum().backward()
    return math.log(sum(float((weight * grad).sum()) for weight, grad in _with_gradients(network)))


def naswot(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return log |det K|, K how many units are alike on or off for two images (Mellor et al., arXiv 2006.04647)."""
    import torch

    from searchspace.architecture import Activation
    from searchspace.modules.layers import ConvBNAct

    alike = torch.zeros(len(images), len(images), dtype=torch.float64)

    def note(module: Any, inputs: Any, output: Tensor) -> None:
        on = (output.flatten(1) > 0).float()
        alike.add_((on @ on.T + (1 - on) @ (1 - on).T).double())

    for module in network.modules():
        if isinstance(module, ConvBNAct) and module.activation is not Activation.LINEAR:
            module.norm.register_forward_hook(note)
    with torch.no_grad():
        network.train()(images)
    return float(torch.linalg.slogdet(alike).logabsdet)


def zen(network: Network, images: Tensor, labels: Tensor) -> float:
    """Return log of how far a small step of the input moves the last feature map, the scales of batch norms put back.

    Lin et al., arXiv 2102.01063, algorithm 1: weights and input are drawn from N(0, 1); shortcuts are kept here.
    """
    import torch
    from torch import nn

    scales: list[float] = []

    def note(module: Any, inputs: tuple[Tensor, ...]) -> None:
        scales.append(0.5 * math.log(float(inputs[0].var((0, 2, 3), unbiased=False).mean()) + 1e-12))

    generator = torch.Generator().manual_seed(0)
    noise, step = (torch.randn(images.shape, generator=generator) for _ in range(2))
    body = nn.Sequential(network.stem, network.blocks).train()
    with torch.no_grad():
        for weight in (one for one in body.parameters() if one.dim() > 1):
            weight.normal_(generator=generator)
    hooks = [one.register_forward_pre_hook(note) for one in body.modules() if isinstance(one, nn.BatchNorm2d)]
    with torch.no_grad():
        at = body(noise)
        for hook in hooks:
            hook.remove()
        moved = float((body(noise + _STEP * step) - at).flatten(1).norm(dim=1).mean())
    return math.log(moved + 1e-12) + sum(scales)


Score = Callable[["Network", "Tensor", "Tensor"], float]
SCORES: Mapping[str, Score] = {one.__name__: one for one in (synflow, zen, naswot, snip, grad_norm)}
OF_IMAGES = ("snip", "grad_norm")  # whose loss needs labelled images


def zero_cost_score(name: str) -> Score:
    """Return a score by name; raises UserError for another."""
    if name not in SCORES:
        raise UserError(f"unknown zero-cost score {name!r:.40}, expected one of {', '.join(SCORES)}")
    return SCORES[name]


@dataclass(frozen=True, kw_only=True)
class ZeroCostEvaluator:
    """Places a network's score among those of 20 random networks of `space`: the percentile of a normal distribution.

    What is returned as top-1 is no accuracy: it only orders networks as the score does. Without `data` the input is
    noise. Raises UserError for an unknown score and for one that needs images.
    """

    space: SearchSpace
    score: str
    seed: int = 0
    data: str | None = None
    image_size: int | None = None
    subset: int | None = None

    def __post_init__(self) -> None:
        zero_cost_score(self.score)
        if self.score in OF_IMAGES and self.data is None:
            raise UserError(
                f"the score {self.score} is of a loss on images: add --data, or take synflow, zen or naswot"
            )

    @property
    def label(self) -> str:
        """What the scores are."""
        return f"percentile of {self.score} of untrained networks, no accuracy"

    @property
    def fingerprint(self) -> str:
        """A hash of what decides the scores."""
        return sha256_text(f"{self.score} {self.seed} {self.data} {self.image_size} {self.subset}")

    @property
    def basis(self) -> Mapping[str, str]:
        """What the scores rest on."""
        shown = "noise" if self.data is None else f"{_BATCH} training images of {self.data}"
        placed = f"among {_REFERENCE} random networks of the space, as a percentile of a normal distribution"
        return {"accuracy": f"none: {self.score} of networks with random weights, on {shown}", "scale": placed}

    def raw(self, genotype: Genotypes) -> float:
        """Return the score of one network, shape (choices,), higher meaning better."""
        from searchspace.modules import build_network

        architecture = self.space.decode(genotype)
        if self.image_size is not None:
            architecture = image_form(self.space, architecture, self.image_size)
        images, labels = self._batch(architecture.resolution)
        return zero_cost_score(self.score)(build_network(architecture, seed=self.seed), images, labels)

    def top1(self, genotypes: Genotypes) -> Values:
        """Return percentiles, shape (n,), for genotypes of shape (n, choices)."""
        mean, deviation = self._usual
        places = [(self.raw(row) - mean) / deviation for row in genotypes]
        return np.array([50 * (1 + math.erf(place / math.sqrt(2))) for place in places])

    @cached_property
    def _usual(self) -> tuple[float, float]:
        drawn = self.space.sample(np.random.default_rng([self.seed, 0x2E0]), _REFERENCE)
        found = np.array([self.raw(row) for row in drawn])
        return float(found.mean()), float(found.std()) or 1.0

    def _batch(self, resolution: int) -> tuple[Tensor, Tensor]:
        import torch

        if self.data is None:
            generator = torch.Generator().manual_seed(self.seed)
            images = torch.randn(_BATCH, 3, resolution, resolution, generator=generator)
            return images, torch.zeros(_BATCH, dtype=torch.int64)
        from nas.data.batches import sample
        from nas.evaluators._train import loaded_images

        assert self.image_size is not None
        data = loaded_images(self.data, self.image_size, self.seed, self.subset).at_size(resolution)
        images, labels = sample(data.train, _BATCH, self.seed)
        return images, labels


def _gradients(network: Network, images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return weights and gradients of the cross-entropy."""
    from torch.nn.functional import cross_entropy

    cross_entropy(network.train()(images), labels).backward()
    return _with_gradients(network)


def _with_gradients(network: Network) -> list[tuple[Tensor, Tensor]]:
    """Return the weights of convolutions and linear layers with their gradients."""
    return [(one.detach(), one.grad) for one in network.parameters() if one.dim() > 1 and one.grad is not None]
