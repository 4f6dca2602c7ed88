"""What is evaluated: a network with weights, or an exported file as the runtime computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from nas.training.execution import Execution
from nas.training.start import find_weights
from nas.weights import Preparation, WeightsInfo, open_weights
from nas.weights.open import has_background
from searchspace.modules import empty_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

Classify = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Maps normalised images (n, 3, size, size) to log-probabilities, or logits, (n, outputs)."""

    name: str
    classify: Classify
    outputs: int
    image_size: int
    fixed_size: bool
    info: WeightsInfo


def open_classifier(network: str, weights: str | None, execution: Execution) -> Classifier:
    """Open a TFLite file, a run's network, or NETWORK with a weights file.

    Raises UserError for a network without weights and for whatever is wrong with a file.
    """
    if network.lower().endswith(".tflite"):
        if weights is not None:
            raise UserError(f"{network} brings its own weights; leave out --weights {weights}")
        return _tflite(Path(network))
    found = find_weights(network, weights, from_scratch=False)
    if found is None:
        raise UserError(
            f"{network[:60]} has no weights to evaluate: give --weights FILE, or the folder of a trained run"
        )
    own_run = weights is None
    opened = open_weights(found, None if own_run else resolve_network(network))
    architecture = opened.architecture
    if not own_run:
        asked = resolve_network(network).with_classes(architecture.classes).with_padding(architecture.padding)
        if asked.with_resolution(architecture.resolution) != architecture:
            raise UserError(
                f"{found} holds weights of another network: {architecture}, not {asked}; leave out NETWORK's changes"
            )
        architecture = asked
    built = empty_network(architecture)
    built.load_state_dict(opened.state)
    execution.prepare(built).eval()

    def classify(images: Tensor) -> Tensor:
        outputs: Tensor = built(execution.place(images)).float().cpu()
        return outputs

    return Classifier(
        name=network,
        classify=classify,
        outputs=architecture.classes,
        image_size=architecture.resolution,
        fixed_size=False,
        info=opened.info,
    )


def _tflite(path: Path) -> Classifier:
    from latency_lut.tflite.runtime import run
    from nas.weights._tflite import read_tflite

    file = read_tflite(path)
    outputs = file.layers[-1].outputs if file.layers else 0
    labels = file.labels if file.labels is not None and len(file.labels) == outputs else None
    background = has_background(outputs, labels)
    info = WeightsInfo(source=str(path), preparation=file.preparation or _beside(path), labels=labels, notes=file.notes)
    if background:
        info = replace(info, labels=labels[1:] if labels else None)

    def classify(images: Tensor) -> Tensor:
        found = torch.from_numpy(run(path, images.movedim(1, -1).contiguous().numpy())).float()
        if file.softmax:
            found = found.clamp_min(1e-12).log()
        return found[:, 1:] if background else found

    return Classifier(
        name=str(path),
        classify=classify,
        outputs=outputs - background,
        image_size=file.side,
        fixed_size=True,
        info=info,
    )


def _beside(path: Path) -> Preparation | None:
    """Return the preparation of the weights in the same run folder, which an export of them shares."""
    found = path.with_name("weights.safetensors")
    return open_weights(found).info.preparation if found.is_file() else None
