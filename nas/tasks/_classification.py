"""Classification: one class an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Classification:
    """Cross-entropy, top-1; the head is the network's own."""

    name: str = "classification"
    metric: str = "top1"

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean cross-entropy of logits (n, classes) and class indices (n,)."""
        return functional.cross_entropy(outputs.float(), targets, label_smoothing=label_smoothing)

    def correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of right answers."""
        return (outputs.detach().argmax(dim=1) == targets).sum()

    def meter(self) -> ClassificationMeter:
        """Return a new meter of top-1 and top-5 in per cent and mean cross-entropy."""
        return ClassificationMeter()


class ClassificationMeter:
    """Top-1 and top-5 in per cent and mean cross-entropy in nats; with fewer than five classes top-5 is 100."""

    def __init__(self) -> None:
        self._hits = torch.zeros(2, dtype=torch.int64)
        self._loss = 0.0
        self.count = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take logits (n, classes) and class indices (n,)."""
        outputs = outputs.float()
        top = outputs.topk(min(5, outputs.shape[1]), dim=1).indices
        hits = top == targets[:, None]
        self._hits += torch.stack([hits[:, 0].sum(), hits.sum()]).cpu()
        self._loss += float(functional.cross_entropy(outputs, targets, reduction="sum"))
        self.count += len(targets)

    def values(self) -> dict[str, float]:
        """Return `top1`, `top5` and `loss`."""
        top1, top5 = (100 * int(hits) / self.count for hits in self._hits)
        return {"top1": top1, "top5": top5, "loss": self._loss / self.count}


CLASSIFICATION = Classification()
