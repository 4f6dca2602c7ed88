"""Training a chosen cell network as DARTS does: drop path that grows, an auxiliary loss, cutout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Batch
from nas.training.execution import Execution
from nas.training.step import TakeStep, gradient_step
from searchspace.cells.modules import CellClassifier


class CellTraining(nn.Module):
    """A cell network in training with the count of steps, which decides the chance of dropping a path."""

    steps_taken: Tensor

    def __init__(self, network: CellClassifier) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes)."""
        logits: Tensor = self.network(x)
        return logits


def cell_steps(*, drop_path: float, auxiliary: float, cutout: float, total_steps: int) -> TakeStep:
    """Return the step of the training loop that trains a `CellTraining`.

    The chance of dropping a path grows linearly to `drop_path` over `total_steps`; the auxiliary loss counts
    `auxiliary` times; a square with a side of `cutout` times the image's is blanked (DeVries and Taylor, arXiv
    1708.04552).
    """

    def take_step(
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        execution: Execution,
        *,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        training = next(module for module in network.modules() if isinstance(module, CellTraining))
        training.network.drop_path = drop_path * int(training.steps_taken) / total_steps
        images, labels = execution.place(batch.images), batch.labels.to(execution.device, non_blocking=True)
        images = _cut_out(images, cutout)
        with execution.autocast():
            outputs, other = training.network.answers(images)
            loss = functional.cross_entropy(outputs.float(), labels, label_smoothing=label_smoothing)
            total = loss
            if other is not None:
                extra = functional.cross_entropy(other.float(), labels, label_smoothing=label_smoothing)
                total = loss + auxiliary * extra
        gradient_step(network, optimizer, total, clip_norm)
        training.steps_taken += 1
        return loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum()

    return take_step


def _cut_out(images: Tensor, share: float) -> Tensor:
    """Blank a square of each image, its centre anywhere; a normalised image's mean is 0."""
    size = images.shape[-1]
    half = round(size * share) / 2
    if half < 0.5:
        return images
    centres = torch.randint(0, size, (2, len(images), 1), device=images.device)
    at = torch.arange(size, device=images.device)
    rows, columns = ((at >= centre - half) & (at < centre + half) for centre in centres)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
