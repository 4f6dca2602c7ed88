"""Fitting weights to a data set: its classes, batch norm that can be trained, a classifier that is not random."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Data, sample
from nas.weights.labels import match_labels
from nas.weights.open import Weights
from searchspace.modules import ConvBNAct, Network
from searchspace.support.errors import UserError

CLASSIFIER = "head.classifier."
RESTORING_IMAGES = 256
PROBING_IMAGES = 4096
PROBING_STEPS = 40
# On standardised features of 2,704 CIFAR-10 images at 96 px: 66 % on others at 0.001, 71 % at 0.1 and 0.3, 69 % at 1.
PROBING_DECAY = 0.1
SMALLEST_FILTER = 1e-6  # a filter of a smaller norm is one of zeros


def fitting_state(
    weights: Weights, built: Network, classes: Sequence[str] | None, numbered: bool
) -> tuple[dict[str, Tensor], str, bool]:
    """Return the weights for a network built for the data's classes, a note, and whether its classifier is fresh.

    Outputs are matched by name (`nas.weights.labels`); a classifier for other classes starts afresh.
    """
    there, here = weights.architecture.classes, built.architecture.classes
    names = [name for name in built.state_dict() if name.startswith(CLASSIFIER)]
    if classes is None and there == here:
        return weights.state, "", False
    try:
        matching = match_labels(classes or (), weights.info.labels, there, numbered=numbered)
    except UserError:
        matching = None
    if matching is None or len(matching.output_of) != here:
        fresh = {name: built.state_dict()[name] for name in names}
        return {**weights.state, **fresh}, f", with a fresh classifier ({there} classes there, {here} here)", True
    rows = torch.tensor(matching.output_of)
    kept = {name: weights.state[name][rows] for name in names}
    return {**weights.state, **kept}, f", classifier kept: {matching.how}", False


@torch.no_grad()
def restore_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Give batch norm that was folded into its convolutions statistics of its own, measured on `images`.

    The network computes what it did, but can be trained on batches: scale and shift are set to undo exactly what the
    measured mean and variance do. Filters are brought to a norm of 1, since folding left them with norms from 0.03 to
    100: behind batch norm a step turns a filter by the learning rate over its squared norm.
    """
    found: dict[ConvBNAct, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...], owner: ConvBNAct) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        found[owner] = (mean.double(), variance.double())

    layers = [module for module in network.modules() if isinstance(module, ConvBNAct)]
    hooks = [
        layer.norm.register_forward_pre_hook(lambda norm, inputs, owner=layer: measure(norm, inputs, owner))
        for layer in layers
    ]
    for layer in layers:
        _to_unit_norm(layer)
    network.eval()(images.to(next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    for layer, (mean, variance) in found.items():
        norm = layer.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        # From the statistics as they are stored, so that rounding them changes nothing.
        norm.weight.copy_(scale * (norm.running_var.double() + norm.eps).sqrt())
        norm.bias.copy_(shift + norm.running_mean.double() * scale)


def _to_unit_norm(layer: ConvBNAct) -> None:
    """Scale each filter to a norm of 1, its batch norm undoing that; filters of zeros stay as they are."""
    assert layer.norm.running_mean is not None
    norms = layer.conv.weight.flatten(1).norm(dim=1)
    factors = torch.where(norms > SMALLEST_FILTER, 1 / norms.clamp_min(SMALLEST_FILTER), torch.ones_like(norms))
    layer.conv.weight.mul_(factors[:, None, None, None])
    layer.norm.running_mean.mul_(factors)
    layer.norm.weight.div_(factors)


def fit_classifier(network: Network, data: Data, seed: int) -> int:
    """Fit a fresh classifier to the features of at most 4,096 training images, in place; return how many.

    Logistic regression on what the pretrained layers compute: training then begins with a classifier that does not
    push random gradients into them (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features").
    """
    images, labels = sample(data.train, PROBING_IMAGES, seed)
    features = _features(network, images)
    mean, spread = features.mean(0), features.std(0, unbiased=False).clamp_min(1e-6)
    inputs = (features - mean) / spread
    weight = torch.zeros(len(data.classes), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(data.classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=PROBING_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(inputs @ weight.T + bias, labels) + PROBING_DECAY / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        classifier = network.head.classifier
        classifier.weight.copy_(weight / spread)
        assert classifier.bias is not None
        classifier.bias.copy_(bias - weight @ (mean / spread))
    return len(labels)


@torch.no_grad()
def _features(network: Network, images: Tensor) -> Tensor:
    """Return the inputs (images, width) of the classifier, in evaluation mode."""
    found: list[Tensor] = []
    device = next(network.parameters()).device
    hook = network.head.classifier.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].float().cpu()))
    network.eval()
    try:
        for start in range(0, len(images), 128):
            network(images[start : start + 128].to(device))
    finally:
        hook.remove()
    return torch.cat(found)
