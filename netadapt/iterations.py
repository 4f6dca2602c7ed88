"""The loop: plan proposals, tune each from the last step's weights, keep one, until the target is met.

How a proposal is tuned and scored is a function given from outside, and where it runs is an engine's affair. A step is
a function of the position it starts from, so a run goes on from its last position to the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netadapt.importance import Criterion, State
from netadapt.proposals import Proposal, Widths, plan, smallest
from netadapt.pruning import prune
from netadapt.resources import Cost, Pricer
from netadapt.schedule import Schedule
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

HALVINGS = 20
"""How often the reduction asked of a step is halved where no single group can reach it."""


@dataclass(frozen=True)
class Tuned:
    """A network after fine-tuning, judged on images it was not tuned on.

    `accuracy` is top-1 in percent; `score` is what proposals are compared by, the accuracy itself or, where images
    are few, something finer such as the negative loss.
    """

    accuracy: float
    score: float
    state: dict[str, Tensor]


Tune = Callable[[Architecture, State, int], Tuned]
"""Fine-tunes a network from a state with a seed; picklable, and a function of nothing else."""

Gradients = Callable[[Architecture, State], State]
"""Returns the gradients of the loss by parameter name, for the Taylor criterion."""


class Mapper(Protocol):
    """What the loop needs of an engine: `function(shared, argument)` for every argument, results in order."""

    def map(
        self,
        function: Callable[[Any, Any], Any],
        arguments: Sequence[Any],
        *,
        names: Sequence[str],
        shared: Any,
        done: Callable[[int, Any], None] | None = None,
    ) -> list[Any]:
        """See `nas.engines.Engine.map`."""
        ...


@dataclass(frozen=True)
class Position:
    """Where a run stands: `step` accepted steps, the network they led to, its weights, quality and cost."""

    step: int
    architecture: Architecture
    tuned: Tuned
    cost: Cost

    @property
    def state(self) -> dict[str, Tensor]:
        """The weights of the network, by name."""
        return self.tuned.state


@dataclass(frozen=True)
class Tried:
    """One proposal of a step as the history keeps it."""

    group: str
    width: int
    cost: float
    accuracy: float
    score: float


@dataclass(frozen=True)
class Step:
    """One accepted step; costs in the unit of the resource, accuracies in percent."""

    step: int
    group: str
    before: int
    after: int
    asked: float
    cost_before: float
    cost: float
    upper: float
    accuracy_before: float
    accuracy: float
    score: float
    architecture: str
    tried: tuple[Tried, ...]
    seconds: float = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is to be reached, and how: everything of a run but its position."""

    pricer: Pricer
    target: float
    initial_cost: Cost
    schedule: Schedule
    widths: Widths
    criterion: Criterion
    tune: Tune
    seed: int
    gradients: Gradients | None = None
    random: bool = False  # take a random proposal without trying the others: the baseline for the choice itself


def check_target(architecture: Architecture, pricer: Pricer, target: float, widths: Widths) -> None:
    """Raise UserError unless the target lies below the network's cost and within reach of its smallest widths.

    Every group is also priced at its smallest width alone, so that a table without the needed operations is refused
    here (UnmeasuredOp) rather than in the middle of a run.
    """
    resource = pricer.resource
    now, least = pricer.price(architecture), smallest(architecture, widths)
    for group in widths.groups(architecture):
        width = widths.candidates(tuple(architecture.placed_blocks()), group)[-1]
        pricer.price(resized(architecture, {group: width}))
    reach = pricer.price(least)
    if now.upper <= target:
        raise UserError(
            f"the target {_with_unit(target, resource.unit)} is not below the network's present {resource.name}, "
            f"{_with_unit(now.value, resource.unit)} (at most {_with_unit(now.upper, resource.unit)}): nothing to slim"
        )
    if reach.upper > target:
        raise UserError(
            f"the target {_with_unit(target, resource.unit)} is out of reach: with every allowed width at its smallest "
            f"({widths.smallest} channels) the network still takes {_with_unit(reach.value, resource.unit)} (at most "
            f"{_with_unit(reach.upper, resource.unit)}); allow more parts ({', '.join(sorted(widths.parts))} now), "
            "smaller widths or a larger target"
        )


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit else f"{value:,.0f}"


def adapt(
    position: Position, problem: Problem, engine: Mapper, done: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Step, Position]]:
    """Yield every step with the position it leads to, until the target holds the upper end of the cost.

    `done(finished, proposals)` is called as the proposals of a step finish. Raises UserError when no group can
    shrink any further.
    """
    while position.cost.upper > problem.target:
        step, position = _step(position, problem, engine, done)
        yield step, position


@dataclass(frozen=True)
class _Given:
    """What all proposals of a step share."""

    position: Position
    criterion: Criterion
    gradients: State | None
    tune: Tune
    seed: int


def _step(
    position: Position, problem: Problem, engine: Mapper, done: Callable[[int, int], None] | None
) -> tuple[Step, Position]:
    started = time.monotonic()
    number = position.step + 1
    asked, proposals = _planned(position, problem)
    seed = int(np.random.SeedSequence([problem.seed, number]).generate_state(1)[0])
    if problem.random:
        proposals = [proposals[int(np.random.default_rng([problem.seed, number]).integers(len(proposals)))]]
    gradients = problem.gradients(position.architecture, position.state) if problem.gradients else None
    given = _Given(position, problem.criterion, gradients, problem.tune, seed)
    finished: list[int] = []

    def count(index: int, result: Tuned) -> None:
        finished.append(index)
        if done is not None:
            done(len(finished), len(proposals))

    names = [f"netadapt step {number}: {proposal}" for proposal in proposals]
    results: list[Tuned] = engine.map(_try, proposals, names=names, shared=given, done=count)
    scores = [result.score for result in results]
    index = problem.schedule.pick(proposals, scores, position.cost, position.tuned.score)
    chosen, tuned = proposals[index], results[index]
    tried = tuple(
        Tried(proposal.group.name, proposal.width, proposal.cost.value, result.accuracy, result.score)
        for proposal, result in zip(proposals, results, strict=True)
    )
    record = Step(
        step=number,
        group=chosen.group.name,
        before=chosen.group.width,
        after=chosen.width,
        asked=asked,
        cost_before=position.cost.value,
        cost=chosen.cost.value,
        upper=chosen.cost.upper,
        accuracy_before=position.tuned.accuracy,
        accuracy=tuned.accuracy,
        score=tuned.score,
        architecture=str(chosen.architecture),
        tried=tried,
        seconds=time.monotonic() - started,
    )
    return record, Position(number, chosen.architecture, tuned, chosen.cost)


def _planned(position: Position, problem: Problem) -> tuple[float, list[Proposal]]:
    """Return what the step asks for and the proposals that save it, asking for less where no group can."""
    asked = problem.schedule.asked(position.step + 1, problem.initial_cost.value)
    final = problem.schedule.final_target(problem.target)
    for _ in range(HALVINGS):
        budget = position.cost.value - asked
        proposals = plan(position.architecture, problem.pricer, budget, final, problem.widths)
        if proposals:
            return asked, proposals
        asked /= 2
    raise UserError(
        f"after {position.step} steps no width can shrink further, at "
        f"{_with_unit(position.cost.value, problem.pricer.resource.unit)}: allow more parts or smaller widths"
    )


def _try(given: _Given, proposal: Proposal) -> Tuned:
    """Tune one proposal from the weights of the last step; runs on a worker."""
    position = given.position
    widths = {proposal.group: proposal.width}
    # A run whose accuracies are looked up has no weights to cut.
    state: State = {}
    if position.state:
        state = prune(
            position.architecture, proposal.architecture, widths, position.state, given.criterion, given.gradients
        )
    return given.tune(proposal.architecture, state, given.seed)
