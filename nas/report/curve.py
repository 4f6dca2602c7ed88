"""The picture of a training run: loss and accuracy by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.report.drawing import SERIES, new_drawing, tidy
from nas.training.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def draw_curve(history: History, title: str = "") -> Drawing:
    """Draw the training loss on the left and the top-1 of the training and search images on the right."""
    epochs = [record.epoch for record in history.epochs]
    drawing = new_drawing(9, 3.6)
    losses, accuracies = drawing.subplots(1, 2)
    losses.plot(
        epochs,
        [record.train_loss for record in history.epochs],
        marker=".",
        color=SERIES[0],
        label="training, augmented",
    )
    losses.plot(
        epochs, [record.accuracy.loss for record in history.epochs], marker=".", color=SERIES[1], label="search split"
    )
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats)")
    accuracies.plot(
        epochs,
        [record.train_top1 for record in history.epochs],
        marker=".",
        color=SERIES[0],
        label="training, augmented",
    )
    accuracies.plot(
        epochs, [record.accuracy.top1 for record in history.epochs], marker=".", color=SERIES[1], label="search split"
    )
    accuracies.set(xlabel="epoch", ylabel="top-1 accuracy (%)")
    for axes in (losses, accuracies):
        tidy(axes)
    if title:
        drawing.suptitle(title, fontsize=11)
    return drawing
