"""Which networks take part in a training step of a supernet, and what each learns from.

A mode is a function of progress and a random generator that lists the passes of one step, as genotypes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchspace.choices import Genotypes
from searchspace.extremes import largest, smallest
from searchspace.space import SearchSpace
from searchspace.stage_plan import StagePlan
from searchspace.support.errors import UserError


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass: the genotype, and whether it learns from the first pass's outputs."""

    genotype: Genotypes
    distilled: bool = False


Mode = Callable[[float, np.random.Generator], list[Pass]]
# Draws n networks, shape (n, choices): uniformly, or only those that a search may end with.
Draw = Callable[[np.random.Generator, int], Genotypes]


def single_path(space: SearchSpace, draw: Draw | None = None) -> Mode:
    """One network a step: each choice uniform (Guo et al., arXiv 1904.00420), or all as `draw` draws them."""
    drawn = draw or space.sample
    return lambda progress, rng: [Pass(drawn(rng, 1)[0])]


def fair(space: SearchSpace, draw: Draw | None = None) -> Mode:
    """A round of networks in which the options of every place run, and so train, equally often.

    Strict fairness of FairNAS (Chu et al., arXiv 1907.01845), kept where layers can be absent or skipped and where
    what follows a stage has weights of its own for each of the stage's options. Values that only decide which corner
    of a weight runs are as even as the round allows, and even on average. What a round trains is fixed, whatever
    `draw` draws.
    """
    rounds = _round_length(space)
    structure = {at for plan in space.plans for at in (plan.block_at, plan.depth_at) if at is not None}

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        genotypes = np.zeros((rounds, len(space.choices)), dtype=np.uint8)
        entered = np.zeros(rounds, dtype=np.int64)  # by which option each pass leaves the stage before
        for plan in space.plans:
            options, depths = _structure_of(plan, entered, rng)
            if plan.block_at is not None:
                genotypes[:, plan.block_at] = options
            if plan.depth_at is not None:
                genotypes[:, plan.depth_at] = depths
            entered = options if len(plan.widths) > 1 else np.zeros(rounds, dtype=np.int64)
        active = space.active(genotypes)
        for choice, radix in enumerate(space.radices.tolist()):
            if choice not in structure:
                rows = np.flatnonzero(active[:, choice])
                genotypes[rows, choice] = _evenly(rng, radix, len(rows))
        return [Pass(genotype) for genotype in space.canonical(genotypes)]

    return passes


def _round_length(space: SearchSpace) -> int:
    """Networks of a fair round: a multiple of the options of each stage, times the streams that can enter it."""
    streams, rounds = 1, 1
    for plan in space.plans:
        options = max(1, len(plan.stage.options))
        rounds = math.lcm(rounds, streams * options)
        streams = options if len(plan.widths) > 1 else 1
    return rounds * -(-int(space.radices.max(initial=1)) // rounds)


def _structure_of(
    plan: StagePlan, entered: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw option and depth, both as value indices, of one stage for every pass of a round.

    Passes that enter by one stream form groups of as many as there are options; a group takes every option once, all
    at one depth, so that the options of a layer are equally often there.
    """
    count = max(1, len(plan.stage.options))
    groups = [
        group
        for stream in np.unique(entered)
        for group in rng.permutation(np.flatnonzero(entered == stream)).reshape(-1, count)
    ]
    options, depths = np.zeros_like(entered), np.zeros_like(entered)
    for group, depth in zip(groups, _evenly(rng, len(plan.stage.depths), len(groups)), strict=True):
        options[group] = rng.permutation(count)
        depths[group] = depth
    return options, depths


def _evenly(rng: np.random.Generator, values: int, count: int) -> NDArray[np.int64]:
    """Draw `count` value indices, each value equally often but for one."""
    drawn: NDArray[np.int64] = rng.permutation(np.resize(rng.permutation(values), count))
    return drawn


def sandwich(space: SearchSpace, draw: Draw | None = None, between: int = 2) -> Mode:
    """The largest network, then the smallest and some drawn ones, which learn from the largest one's outputs.

    The sandwich rule with in-place distillation (Yu and Huang, arXiv 1903.05134).
    """
    ends = largest(space), smallest(space)
    drawn = draw or space.sample

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        chosen = [ends[1], *drawn(rng, between)]
        return [Pass(ends[0]), *(Pass(genotype, distilled=True) for genotype in chosen)]

    return passes


# Once-for-All frees kernels, then depth, then widths (arXiv 1908.09791, section 3.3).
SHRINKING_ORDER = (("kernel",), ("depth",), ("ratio", "width", "multiplier"))


def shrinking(space: SearchSpace, draw: Draw | None = None, networks: int = 2) -> Mode:
    """Progressive shrinking: the sizes start at their largest and are freed kind by kind, a quarter of the run each.

    Choices that are no sizes (block, activation, squeeze-excite) are free from the start. All but the largest
    network learn from its outputs. `draw` draws once all sizes are free; sizes held at their largest cost what they
    cost.
    """
    top = largest(space)
    stage_of = np.array([_shrinking_stage(choice.path) for choice in space.choices])

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        free = stage_of <= int(progress * (len(SHRINKING_ORDER) + 1))
        sampled = (draw if draw is not None and free.all() else space.sample)(rng, networks)
        # A choice that the largest network does not have keeps what was drawn.
        held = ~free & space.active(top[None])[0]
        chosen = space.canonical(np.where(held, top, sampled).astype(np.uint8))
        return [Pass(top), *(Pass(genotype, distilled=True) for genotype in chosen)]

    return passes


def _shrinking_stage(path: str) -> int:
    field = path.rsplit("/", 1)[-1]
    return next((i for i, names in enumerate(SHRINKING_ORDER, start=1) if field in names), 0)


def with_warm_up(space: SearchSpace, mode: Mode, share: float = 0.25) -> Mode:
    """Warm up all choices first: in the first `share` of the run a step often trains every value of every choice.

    The chance falls linearly from 1 to 0, as that of TuNAS's warm-up (Bender et al., arXiv 2008.06120); where TuNAS
    adds the outputs of all values, these take turns in one fair round.
    """
    everything = fair(space)

    def passes(progress: float, rng: np.random.Generator) -> list[Pass]:
        chance = max(0.0, 1 - progress / share) if share else 0.0
        return everything(progress, rng) if rng.random() < chance else mode(progress, rng)

    return passes


MODES: dict[str, Callable[[SearchSpace, Draw | None], Mode]] = {
    "single-path": single_path,
    "fair": fair,
    "sandwich": sandwich,
    "shrinking": shrinking,
}


def check_mode(name: str, *extra: str) -> None:
    """Raise UserError for a name that is neither in `MODES` nor one of the `extra` ones."""
    if name not in (*MODES, *extra):
        raise UserError(f"unknown supernet training {name!r}, expected one of {', '.join((*MODES, *extra))}")


def find_mode(name: str, space: SearchSpace, warm_up: float = 0.0, draw: Draw | None = None) -> Mode:
    """Return a mode by name, with a warm-up of all choices where a share is given; raises UserError."""
    check_mode(name)
    mode = MODES[name](space, draw)
    return with_warm_up(space, mode, warm_up) if warm_up else mode
