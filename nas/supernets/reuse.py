"""Starting from the supernet of an earlier run: what it was trained on, its weights, and what it learnt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from nas.data import Data
from nas.supernets.differentiable import ArchitectureLogits
from nas.supernets.settings import SupernetSettings
from nas.training.failures import check_state
from searchspace.space import SearchSpace
from searchspace.supernet import Supernet
from searchspace.support.errors import UserError

SPLIT_SEED, SUBSET, CLASSES, SPLIT = "split seed", "subset", "classes", "split"


def identity_of_images(data: Data, settings: SupernetSettings) -> dict[str, str]:
    """Return what tells the images a supernet is trained on from others, as text for its checkpoint.

    `split` is a hash of the labels in the order of the training and the search images, so a folder may move.
    """
    digest = hashlib.sha256()
    for part in (data.train, data.search):
        digest.update(np.ascontiguousarray(part.batches(1).labels.numpy(), dtype=np.int64).tobytes() + b"/")
    return {
        SPLIT_SEED: str(settings.seed),
        SUBSET: str(settings.subset),
        CLASSES: ", ".join(data.classes),
        SPLIT: f"{len(data.train)} training and {len(data.search)} search images, {digest.hexdigest()[:16]}",
    }


def refuse_other_images(identity: Mapping[str, str], data: Data, settings: SupernetSettings, path: Path) -> None:
    """Raise UserError, naming the differences, where a supernet was trained on other images than this run's.

    Its search images could be among those it was trained on, and its scores too good.
    """
    wanted = identity_of_images(data, settings)
    before = str(identity.get("data", "")).partition(" at ")[0]
    differing = [
        f"{key}: {_short(identity.get(key, 'not said'))} there, {_short(value)} here"
        for key, value in wanted.items()
        if identity.get(key) != value
    ]
    if before.partition(":")[0] != data.spec.partition(":")[0] or (SPLIT not in identity and before != data.spec):
        differing.insert(0, f"data: {_short(before)} there, {_short(data.spec)} here")
    if differing:
        lines = "".join(f"\n  {line}" for line in differing)
        raise UserError(
            f"{path} was trained on other images, some of which could be among those that score here:{lines}\n"
            "Give the same --data, --seed and --subset, or train a new supernet without --supernet."
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def take_weights(supernet: Supernet, network: Mapping[str, Tensor], path: Path) -> None:
    """Take the shared weights of a checkpoint's network; raises UserError when they are of another supernet."""
    state = _below("supernet.", network)
    check_state(state, f"the end of {path}")
    try:
        supernet.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(
            f"{path} holds the supernet of another space or number of classes, or one with other kernel transforms: "
            f"{first}"
        ) from None


def take_logits(
    space: SearchSpace, learnt_in: str, network: Mapping[str, Tensor], path: Path
) -> ArchitectureLogits | None:
    """Return what a checkpoint's differentiable training learnt, None where it is of another training.

    Raises UserError when it was learnt in another space.
    """
    state = _below("logits.", network)
    if not state:
        return None
    if learnt_in != str(space):
        raise UserError(f"{path} holds an architecture learnt in another space, {learnt_in.splitlines()[0]}")
    logits = ArchitectureLogits(space)
    logits.load_state_dict(state)
    return logits


def _below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries of a state whose names start with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
