"""One evaluation: which images, prepared how, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nas.data import Batch, Data, Split, load_data
from nas.jobs.evaluate.classifier import Classifier, open_classifier
from nas.training.execution import Execution, default_execution
from nas.weights.labels import Matching, match_labels
from searchspace.support.errors import UserError

BATCH = 64
TOP = 5


class Part(StrEnum):
    """Which images of a data set."""

    TEST = "test"
    SEARCH = "search"
    TRAIN = "train"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """What `nas evaluate` was asked for; `part` None is the test part where the data has one, else all of it.

    `seed` draws the search part, as in training.
    """

    network: str
    data: str
    weights: str | None = None
    part: Part | None = None
    image_size: int | None = None
    subset: int | None = None
    seed: int = 0


Progress = Callable[[int, int], None]


def evaluate_network(
    settings: EvaluateSettings,
    execution: Execution | None = None,
    progress: Progress | None = None,
    decoding: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate and return the result: accuracy in per cent from 0 to 100, loss in nats, and what was evaluated how.

    `progress(done, total)` is told after every batch of images. Raises UserError for whatever is wrong with the
    network, its weights or the data, and for classes that the network does not know.
    """
    execution = execution or default_execution()
    classifier = open_classifier(settings.network, settings.weights, execution)
    size = _image_size(settings, classifier)
    preparation = classifier.info.preparation
    data = load_data(
        settings.data,
        size,
        settings.seed,
        settings.subset,
        preparation=preparation,
        progress=decoding,
    )
    matching = match_labels(data.classes, classifier.info.labels, classifier.outputs, numbered=data.numbered)
    part = settings.part or (Part.TEST if data.has_test else Part.ALL)
    splits = _splits(data, part)
    counts = _count(classifier, matching, splits, len(data.classes), progress)
    return {
        "network": settings.network,
        "weights": classifier.info.source,
        "data": settings.data,
        "part": part.value,
        **counts.summary(data.classes, classifier.outputs),
        "image_size": size,
        "preparation": {"mean": list(data.mean), "std": list(data.std), "crop": data.crop, "channel_order": "RGB"},
        "labels": matching.how,
        "notes": [*classifier.info.notes, *_unsaid(preparation), *data.notes],
    }


@dataclass
class _Counts:
    """Hits and images by class, and the sum of the loss."""

    images: Tensor
    top1: Tensor
    top5: int = 0
    loss: float = 0.0

    def summary(self, classes: tuple[str, ...], outputs: int) -> dict[str, Any]:
        count = int(self.images.sum())
        seen = [(name, int(self.top1[i]), int(self.images[i])) for i, name in enumerate(classes) if self.images[i]]
        return {
            "top1": 100 * int(self.top1.sum()) / count,
            "top5": 100 * self.top5 / count if outputs >= TOP else None,
            "loss": self.loss / count,
            "count": count,
            "per_class": {name: {"top1": 100 * hits / images, "count": images} for name, hits, images in seen},
        }


@torch.inference_mode()
def _count(
    classifier: Classifier, matching: Matching, splits: list[Split], classes: int, progress: Progress | None
) -> _Counts:
    counts = _Counts(torch.zeros(classes, dtype=torch.int64), torch.zeros(classes, dtype=torch.int64))
    output_of = torch.tensor(matching.output_of)
    total, done = sum(map(len, splits)), 0
    if total == 0:
        raise UserError("nothing to evaluate: that part of the data holds no image")
    batches: Iterator[Batch] = chain.from_iterable(split.batches(BATCH) for split in splits)
    for images, labels in batches:
        outputs, wanted = classifier.classify(images), output_of[labels]
        best = outputs.topk(min(TOP, outputs.shape[1]), dim=1).indices
        hits = best == wanted[:, None]
        counts.top5 += int(hits.sum())
        counts.loss += float(functional.cross_entropy(outputs, wanted, reduction="sum"))
        counts.images += torch.bincount(labels, minlength=classes)
        counts.top1 += torch.bincount(labels[hits[:, 0]], minlength=classes)
        done += len(labels)
        if progress is not None:
            progress(done, total)
    return counts


def _splits(data: Data, part: Part) -> list[Split]:
    if part is Part.TEST:
        return [data.test_split()]
    if part is Part.ALL:
        return [data.train, data.search, data.test_split()]
    return [data.train if part is Part.TRAIN else data.search]


def _image_size(settings: EvaluateSettings, classifier: Classifier) -> int:
    """Return the side of the images: as asked, else as the weights were trained, else the network's own."""
    asked, preparation = settings.image_size, classifier.info.preparation
    if asked is not None and classifier.fixed_size and asked != classifier.image_size:
        raise UserError(f"{classifier.name} takes images of {classifier.image_size} pixels, not of {asked}")
    if asked is not None:
        return asked
    if preparation is not None and not classifier.fixed_size:
        return preparation.image_size
    return classifier.image_size


def _unsaid(preparation: object) -> list[str]:
    if preparation is not None:
        return []
    return ["the weights do not say how images are prepared; the data set's own mean and deviation are used"]
