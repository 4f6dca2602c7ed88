"""Differentiable search: the architecture is learnt by gradient descent beside the shared weights.

Every value of every choice has a logit. The weights learn on networks drawn from the logits; the logits learn on a
fifth of each batch, which that step's weights do not see (other epochs may have shown it; ProxylessNAS keeps a fixed
part apart). Their loss is the likelihood of a few whole networks mixed by their renormalised probabilities (the
binarised gates and renormalised paths of ProxylessNAS, Cai et al., arXiv 1812.00332, section 3.2, applied to whole
paths so that depth, width and block choices are learnt like all others) plus the expected latency, which is exact:
probabilities times the compiled table (ibid., section 3.3.1; FBNet, Wu et al., arXiv 1812.03443).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from latency_lut.compiled import CompiledCost
from latency_lut.slots import Factor, Values
from nas.data import Batch, Data
from nas.supernets.training import SupernetInTraining, in_training, learn, watching
from nas.training.checkpoint import Checkpoints
from nas.training.execution import Execution
from nas.training.history import Observer
from nas.training.loop import train
from nas.training.optimizers import clip_gradients
from nas.training.recipes import Recipe
from nas.training.step import TakeStep
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.supernet import Supernet, resized


@dataclass(frozen=True, kw_only=True)
class DifferentiableSettings:
    """How the architecture is learnt.

    `target_ms` is the latency aimed at and `latency_weight` what missing it costs: the loss is cross-entropy +
    weight x |E[latency] / target - 1| (TuNAS's absolute form, arXiv 2008.06120, which also holds cheap networks up).
    Logits move by Adam without momentum, as ProxylessNAS's, after `frozen_share` of the run, on `paths` networks and
    a fifth of each batch.
    """

    target_ms: float
    latency_weight: float = 1.0
    learning_rate: float = 0.05
    frozen_share: float = 0.25
    paths: int = 3
    image_share: float = 0.2


class ArchitectureLogits(nn.Module):
    """The logits of all choices of a space, and the running squares of their gradients, kept as buffers.

    Buffers, because the weights' optimizer must not touch them; they are saved and resumed with the weights.
    """

    values: Tensor
    squares: Tensor
    steps: Tensor

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        self._lengths = space.radices.tolist()
        for name, size in (("values", sum(self._lengths)), ("squares", sum(self._lengths)), ("steps", 1)):
            self.register_buffer(name, torch.zeros(size))

    def log_probabilities(self, values: Tensor) -> list[Tensor]:
        """Return one vector of log-probabilities for each choice."""
        return [functional.log_softmax(part, dim=0) for part in values.split(self._lengths)]

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n canonical genotypes, shape (n, choices)."""
        return self.space.sample_from(rng, self.probabilities(), n)

    def probabilities(self) -> list[Values]:
        """Return one vector of probabilities for each choice, the same to the bit wherever the logits lie."""
        return [part.exp().numpy() for part in self.log_probabilities(self.values.cpu().double())]

    def most_likely(self) -> Genotypes:
        """Return the genotype, shape (choices,), of the most likely value of every choice."""
        best = [int(part.argmax()) for part in self.values.split(self._lengths)]
        canonical: Genotypes = self.space.canonical(np.array([best], dtype=np.uint8))[0]
        return canonical

    def log_likelihood(self, log_probabilities: Sequence[Tensor], genotypes: Genotypes) -> Tensor:
        """Return the log-probability of each genotype, shape (n,), over its active choices."""
        active = torch.from_numpy(self.space.active(genotypes)).to(log_probabilities[0].device)
        columns = [part[genotypes[:, i].tolist()] for i, part in enumerate(log_probabilities)]
        return torch.where(active, torch.stack(columns, dim=1), 0.0).sum(dim=1)

    def descend(self, gradient: Tensor, learning_rate: float) -> None:
        """Take one step of Adam with betas 0 and 0.999 (ProxylessNAS, `search/`)."""
        self.steps += 1
        self.squares.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = (self.squares / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
        self.values.sub_(learning_rate * gradient / scale)


def expected_latency_ms(log_probabilities: Sequence[Tensor], factors: Sequence[Factor], overhead_ms: float) -> Tensor:
    """Return the mean latency of networks drawn with independent choices: sum over slots of probability x table."""
    total = log_probabilities[0].new_tensor(overhead_ms)
    for factor in factors:
        table = torch.from_numpy(factor.values).to(total)
        for choice in reversed(factor.scope):  # the last axis first, so that the axes left keep their order
            table = table @ log_probabilities[choice].exp()
        total = total + table
    return total


class DifferentiableInTraining(SupernetInTraining):
    """A supernet in training with the logits of its architecture."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__(supernet)
        self.logits = ArchitectureLogits(supernet.space)

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n networks, shape (n, choices), as training draws them."""
        return self.logits.sample(rng, n)


def differentiable_steps(
    cost: CompiledCost, settings: DifferentiableSettings, *, seed: int, total_steps: int
) -> TakeStep:
    """Return the step of the training loop that trains a `DifferentiableInTraining`."""

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        inner = in_training(network, DifferentiableInTraining)
        step, logits = int(inner.steps_taken), inner.logits
        rng = np.random.default_rng([seed, step])
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        kept = max(1, round(len(labels) * (1 - settings.image_share)))
        optimizer.zero_grad(set_to_none=True)
        genotype = logits.sample(rng, 1)[0]
        loss, outputs = learn(
            network, inner.supernet, genotype, images[:kept], labels[:kept], execution, label_smoothing
        )
        clip_gradients(network.parameters(), clip_norm)
        optimizer.step()
        if kept < len(labels) and step >= settings.frozen_share * total_steps:
            outputs_of = partial(_outputs, inner.supernet, images=images[kept:])
            gradient = _architecture_gradient(logits, outputs_of, labels[kept:], cost, settings, rng)
            logits.descend(gradient, settings.learning_rate)
        inner.steps_taken += 1
        return loss, (outputs.argmax(dim=1) == labels[:kept]).sum() * (len(labels) / kept)

    return take_step


def _architecture_gradient(
    logits: ArchitectureLogits,
    outputs_of: Callable[[Genotypes], Tensor],
    labels: Tensor,
    cost: CompiledCost,
    settings: DifferentiableSettings,
    rng: np.random.Generator,
) -> Tensor:
    """Return the gradient of the loss by the logits, on images that this step's weights did not learn from."""
    paths = logits.sample(rng, settings.paths)
    answers = outputs_of(paths).log_softmax(dim=2)[:, torch.arange(len(labels)), labels]
    values = logits.values.clone().requires_grad_()
    log_probabilities = logits.log_probabilities(values)
    mixture = logits.log_likelihood(log_probabilities, paths).log_softmax(dim=0)
    likelihood = (mixture[:, None].to(answers) + answers).logsumexp(dim=0)
    latency_ms = expected_latency_ms(log_probabilities, cost.slot_factors(), cost.overhead_ms)
    miss = (latency_ms / settings.target_ms - 1).abs()
    (gradient,) = torch.autograd.grad(settings.latency_weight * miss - likelihood.mean(), values)
    return gradient


@torch.no_grad()
def _outputs(supernet: Supernet, genotypes: Genotypes, images: Tensor) -> Tensor:
    """Return the outputs of several networks for the same images, shape (networks, batch, classes)."""
    return torch.stack([supernet(resized(images, supernet.input_size(one)), one).float() for one in genotypes])


def train_differentiably(
    supernet: Supernet,
    data: Data,
    recipe: Recipe,
    cost: CompiledCost,
    settings: DifferentiableSettings,
    *,
    seed: int = 0,
    execution: Execution | None = None,
    checkpoints: Checkpoints | None = None,
    observer: Observer | None = None,
    start: ArchitectureLogits | None = None,
    images: Mapping[str, str] | None = None,
) -> ArchitectureLogits:
    """Train a supernet in place and its architecture with it, from `start` on; return the logits of the architecture.

    Raises as `nas.training.train` does.
    """
    network = DifferentiableInTraining(supernet)
    if start is not None:
        network.logits.load_state_dict(start.state_dict())
    total_steps = recipe.epochs * data.train.steps_per_epoch(min(recipe.batch_size, len(data.train)))
    train(
        network,
        data,
        recipe,
        seed=seed,
        execution=execution,
        checkpoints=checkpoints,
        observer=observer,
        take_step=differentiable_steps(cost, settings, seed=seed, total_steps=total_steps),
        evaluation=watching(data, seed),
        identity={
            **(images or {}),
            "space": str(supernet.space),
            "supernet training": f"{settings}, latency table {cost.table.sha256}",
        },
    )
    return network.logits
