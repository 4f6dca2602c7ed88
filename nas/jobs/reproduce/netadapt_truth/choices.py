"""What each method chooses within a limit of multiply-adds, accuracies looked up in one run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from latency_lut.compiled import Extremes
from nas.engines import InProcessEngine
from nas.jobs.reproduce.netadapt_truth.table import LAYERS, QUARTERS, WIDEST, Truth, digits_at, digits_of, row_of
from nas.objectives import Objective, Results
from nas.strategies import RegularisedEvolution
from netadapt.groups import Group, Part
from netadapt.importance import Criterion
from netadapt.iterations import Position, Problem, Step, Tuned, adapt
from netadapt.proposals import Widths
from netadapt.resources import Madds, Pricer
from netadapt.schedule import Form, published_schedule
from searchspace.architecture import Architecture, PlacedBlock
from searchspace.choices import Choice, ChoiceSet, Genotypes
from searchspace.text import parse

EVOLUTION_EVALUATIONS = 500


class ChannelSpace(ChoiceSet):
    """The seven widths as a space; its genotypes in C order are the rows of `Truth`."""

    name = "channel widths"

    def __init__(self) -> None:
        super().__init__([Choice(f"layer{i + 1}", tuple(range(1, QUARTERS + 1))) for i in range(LAYERS)])

    def rows(self, genotypes: Genotypes) -> NDArray[np.intp]:
        """Return the places of genotypes (n, 7) in the table."""
        rows: NDArray[np.intp] = np.ravel_multi_index(tuple(genotypes.T.astype(int)), [QUARTERS] * LAYERS)
        return rows


class TabledCost:
    """Multiply-adds as the truth lists them, in the place of latency: exact, so an interval is a point."""

    def __init__(self, space: ChannelSpace, truth: Truth) -> None:
        self.space, self.truth = space, truth

    def latency_ms(self, genotypes: Genotypes) -> NDArray[np.float64]:
        """Return the multiply-adds of genotypes (n, 7)."""
        return self.truth.madds[self.space.rows(genotypes)]

    def interval_ms(self, genotypes: Genotypes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the multiply-adds twice."""
        madds = self.latency_ms(genotypes)
        return madds, madds

    def extremes(self) -> Extremes:
        """Return the narrowest and the widest network."""
        narrowest, widest = np.zeros(LAYERS, np.uint8), np.full(LAYERS, QUARTERS - 1, np.uint8)
        return Extremes(narrowest, float(self.truth.madds[0]), widest, float(self.truth.madds[-1]))


class QuarterWidths(Widths):
    """Every group in quarters of the widest network's width."""

    @cached_property
    def _quarter(self) -> dict[str, int]:
        return {group.name: group.width // QUARTERS for group in Widths(parts=frozenset(Part)).groups(parse(WIDEST))}

    def candidates(self, placed: tuple[PlacedBlock, ...], group: Group) -> list[int]:  # type: ignore[override]
        """Return the narrower quarters, widest first."""
        quarter = self._quarter[group.name]
        return list(range(group.width - quarter, 0, -quarter))


@dataclass(frozen=True)
class LookUp:
    """In place of fine-tuning: the accuracy of one run."""

    truth: Truth
    run: int

    def __call__(self, network: Architecture, state: object, seed: int) -> Tuned:
        """Return the accuracy of a network; there are no weights to tune."""
        accuracy = float(self.truth.accuracies[row_of(digits_of(network)), self.run])
        return Tuned(accuracy, accuracy, {})


def slim(truth: Truth, run: int, limit: float, form: Form, *, seed: int = 0, random: bool = False) -> list[Step]:
    """Run NetAdapt from the widest network down to `limit` multiply-adds, accuracies looked up in one run."""
    widest = parse(WIDEST)
    pricer = Pricer(Madds(), widest)
    cost = pricer.price(widest)
    tune = LookUp(truth, run)
    problem = Problem(
        pricer=pricer,
        target=limit,
        initial_cost=cost,
        schedule=published_schedule(form),
        widths=QuarterWidths(parts=frozenset(Part)),
        criterion=Criterion.L2,
        tune=tune,
        seed=seed,
        random=random,
    )
    position = Position(0, widest, tune(widest, {}, 0), cost)
    return [step for step, _ in adapt(position, problem, InProcessEngine())]


def greedy(truth: Truth, limit: float) -> str:
    """Return where taking, again and again, the quarter that saves the most multiply-adds first meets the limit."""
    digits = [QUARTERS] * LAYERS
    while truth.madds[row_of("".join(map(str, digits)))] > limit:
        narrower = [_narrowed(digits, layer) for layer in range(LAYERS) if digits[layer] > 1]
        digits = min(narrower, key=lambda option: truth.madds[row_of("".join(map(str, option)))])
    return "".join(map(str, digits))


def _narrowed(digits: list[int], layer: int) -> list[int]:
    return [digit - (number == layer) for number, digit in enumerate(digits)]


def evolved(truth: Truth, run: int, limit: float, seed: int) -> str:
    """Return what regularised evolution finds within the limit in 500 look-ups of one run."""
    space = ChannelSpace()
    objective = Objective(TabledCost(space, truth), limit, ceiling=1.0)  # type: ignore[arg-type]
    strategy = RegularisedEvolution.sized(objective, seed, EVOLUTION_EVALUATIONS)
    best, found, asked = -np.inf, "", 0
    while asked < EVOLUTION_EVALUATIONS:
        genotypes = strategy.ask(min(strategy.batch or 10, EVOLUTION_EVALUATIONS - asked))
        rows = space.rows(genotypes)
        top1 = np.where(truth.madds[rows] <= limit, truth.accuracies[rows, run], np.nan)
        strategy.tell(Results(genotypes, top1, truth.madds[rows], truth.madds[rows]))
        asked += len(genotypes)
        if not np.isnan(top1).all() and np.nanmax(top1) > best:
            best = float(np.nanmax(top1))
            found = "".join(str(value + 1) for value in genotypes[np.nanargmax(top1)])
    return found


def exact(truth: Truth, run: int, limit: float) -> str:
    """Return the most accurate network of one run within the limit."""
    within = np.flatnonzero(truth.madds <= limit)
    return digits_at(int(within[truth.accuracies[within, run].argmax()]))
