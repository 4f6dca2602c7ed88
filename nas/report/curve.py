"""The picture of a training run: loss and accuracy by epoch."""

from __future__ import annotations

import io

from nas.training.history import History


def draw_curve(history: History, title: str) -> bytes:
    """Return a PNG with the training loss on the left and the top-1 of the training and search images on the
    right."""
    from matplotlib.figure import Figure

    epochs = [record.epoch for record in history.epochs]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    losses.plot(epochs, [record.train_loss for record in history.epochs], marker=".", label="training, augmented")
    losses.plot(epochs, [record.search.loss for record in history.epochs], marker=".", label="search split")
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats)")
    accuracies.plot(epochs, [record.train_top1 for record in history.epochs], marker=".", label="training, augmented")
    accuracies.plot(epochs, [record.search.top1 for record in history.epochs], marker=".", label="search split")
    accuracies.set(xlabel="epoch", ylabel="top-1 accuracy (%)")
    for axes in (losses, accuracies):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()
