"""Learning from a trained network's outputs beside the labels (Hinton et al., arXiv 1503.02531, at temperature 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Batch
from nas.training.execution import Execution
from nas.training.step import TakeStep, gradient_step
from searchspace.support.errors import UserError

TEACHER_SHARE = 0.5


@dataclass(frozen=True)
class Teacher:
    """A trained network in evaluation mode; `share` is its part of what is learnt, the labels are the rest."""

    network: nn.Module
    share: float = TEACHER_SHARE

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"the teacher's share is {self.share:g}, expected above 0, at most 1")

    @torch.no_grad()
    def targets(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the probabilities to learn, (batch, classes), for images as the teacher was trained on."""
        outputs = self.network.eval()(images).float().softmax(dim=1)
        wanted: Tensor = self.share * outputs + (1 - self.share) * functional.one_hot(labels, outputs.shape[1])
        return wanted


def distilled_step(teacher: Teacher) -> TakeStep:
    """Return the step of the training loop that learns from a teacher; labels are not smoothed."""

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        target = teacher.targets(images, labels)
        with execution.autocast():
            outputs = network(images).float()
            loss = functional.cross_entropy(outputs, target)
        gradient_step(network, optimizer, loss, clip_norm)
        return loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum()

    return take_step
