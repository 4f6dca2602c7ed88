"""The methods: each makes a network of at most a latency from the fine-tuned one, and says what training that took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from latency_lut.compiled import CompiledCost
from nas.engines import InProcessEngine
from nas.evaluators import SupernetEvaluator
from nas.jobs.reproduce.pretrained.problem import BATCH, RATE, SCRATCH_RATE, Problem
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.objectives import Objective
from nas.strategies import make_strategy
from nas.supernets.modes import single_path
from nas.supernets.training import SupernetInTraining, steps_of
from nas.training.distillation import Teacher
from nas.training.evaluation import evaluate
from nas.training.fine_tuning import fine_tune, train_steps
from nas.training.recipes import pretrained_supernet
from netadapt.baselines import magnitude, uniform
from netadapt.groups import Group
from netadapt.importance import Criterion, State
from netadapt.iterations import Position, Tuned, adapt
from netadapt.iterations import Problem as NetAdaptProblem
from netadapt.proposals import Widths
from netadapt.pruning import prune
from netadapt.schedule import Form, Schedule, published_widths
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.around import space_around
from searchspace.modules import Network, build_network
from searchspace.space import SearchSpace
from searchspace.supernet import Supernet, start_from

WIDTHS = published_widths(Form.ORIGINAL)
SUPERNET_SHARE = 0.25  # of the passes: half of these through the supernet, half through its teacher
STEP_RATE, STEP_IMAGES = 0.001, 8  # of the training of one proposal, by plain SGD
SEARCH_BATCH = 10


@dataclass(frozen=True)
class Made:
    """A network before its last training, the passes spent on making it, and the rate it is trained at."""

    network: Network
    spent: int = 0
    rate: float = RATE


Method = Callable[[Problem, float, Path], Made]


def within(problem: Problem, limit_ms: float, widths_at: Callable[[float], dict[Group, int]]) -> Architecture:
    """Return the network of a one-shot rule whose interval's upper end keeps the limit."""
    return resized(problem.architecture, _widths_within(problem, limit_ms, widths_at))


def _widths_within(
    problem: Problem, limit_ms: float, widths_at: Callable[[float], dict[Group, int]]
) -> dict[Group, int]:
    pricer = problem.pricer()
    seed = pricer.price(problem.architecture)
    asked = limit_ms * seed.value / seed.upper  # the rules go by the estimate, whose interval is about as wide
    while True:
        widths = widths_at(asked)
        if pricer.price(resized(problem.architecture, widths)).upper <= limit_ms:
            return widths
        asked *= 0.99


def _uniform_widths(problem: Problem, limit_ms: float) -> dict[Group, int]:
    pricer = problem.pricer()
    return _widths_within(problem, limit_ms, lambda asked: uniform(problem.architecture, pricer, asked, WIDTHS))


def _cut(problem: Problem, widths: dict[Group, int]) -> Network:
    smaller = resized(problem.architecture, widths)
    return problem.filled(smaller, prune(problem.architecture, smaller, widths, problem.network.state_dict()))


def by_uniform_width(problem: Problem, limit_ms: float, folder: Path) -> Made:
    """One width multiplier for all layers, the strongest channels kept."""
    return Made(_cut(problem, _uniform_widths(problem, limit_ms)))


def from_scratch(problem: Problem, limit_ms: float, folder: Path) -> Made:
    """The network of that width from random weights."""
    architecture = resized(problem.architecture, _uniform_widths(problem, limit_ms))
    return Made(build_network(architecture, seed=problem.seed), rate=SCRATCH_RATE)


def by_magnitude(problem: Problem, limit_ms: float, folder: Path) -> Made:
    """The weakest channels of all layers removed at once."""
    pricer, state = problem.pricer(), problem.network.state_dict()

    def widths_at(asked: float) -> dict[Group, int]:
        return magnitude(problem.architecture, state, pricer, asked, WIDTHS, Criterion.L2)

    return Made(_cut(problem, _widths_within(problem, limit_ms, widths_at)))


@dataclass
class _Tune:
    """One batch of training for a proposal, judged by the loss; counts the passes of all of them."""

    problem: Problem
    spent: int = field(default=0)

    def __call__(self, architecture: Architecture, state: State, seed: int) -> Tuned:
        network = self.problem.filled(architecture, dict(state))
        fine_tune(network, self.problem.data, 1, STEP_RATE, seed, batch_size=STEP_IMAGES)
        self.problem.measured_anew(network)
        self.spent += STEP_IMAGES
        return judged(self.problem, network)


def judged(problem: Problem, network: Network) -> Tuned:
    """Return a network with its accuracy on images that compare candidates."""
    found = evaluate(network, problem.judged())
    state: dict[str, Tensor] = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return Tuned(found.top1, -found.loss, state)


def by_netadapt(form: Form) -> Method:
    """NetAdapt in one of its published forms, one small step of training for each proposal."""

    def method(problem: Problem, limit_ms: float, folder: Path) -> Made:
        pricer, tune = problem.pricer(), _Tune(problem)
        cost = pricer.price(problem.architecture)
        given = NetAdaptProblem(
            pricer=pricer,
            target=limit_ms,
            initial_cost=cost,
            schedule=Schedule(form=form, reduction=problem.size.reduction),
            widths=Widths(parts=published_widths(form).parts),
            criterion=Criterion.L2,
            tune=tune,
            seed=problem.seed,
        )
        start = Position(0, problem.architecture, judged(problem, problem.network), cost)
        *_, (_, position) = adapt(start, given, InProcessEngine())
        return Made(problem.filled(position.architecture, position.state), tune.spent)

    return method


def by_search(problem: Problem, limit_ms: float, folder: Path) -> Made:
    """The best of a supernet that starts as the network and learns from it, evolved on the judged images."""
    classes, seed, size = len(problem.data.classes), problem.seed, problem.size
    space = SearchSpace(space_around(problem.architecture, "around:mobilenet_v2")).with_classes(classes)
    around = space.encode(problem.architecture.with_classes(classes))
    objective = Objective(CompiledCost(space, problem.table), limit_ms, ceiling=1.0, around=around)
    supernet = Supernet(space, seed=seed, classes=classes, image_size=problem.data.image_size)
    start_from(supernet, problem.architecture, problem.network.state_dict())
    spent = _trained(supernet, problem, objective)
    evaluator = SupernetEvaluator(
        supernet, problem.data, seed=seed, search_images=size.judged, calibration_images=size.calibrated
    )
    strategy = make_strategy("evolution", objective, seed, size.evaluations, None)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    evaluations, batch = size.evaluations, SEARCH_BATCH
    header = search_header(objective, strategy, evaluator, problem.table, evaluations=evaluations, batch=batch)
    with Journal.create(path, header) as journal:
        found = run_search(objective, strategy, evaluator, journal, evaluations=evaluations, batch=batch)
    genotype = torch.tensor(found.winner.genotype, dtype=torch.uint8).numpy()
    network = supernet.extract(genotype)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Made(network, spent)


def _trained(supernet: Supernet, problem: Problem, objective: Objective) -> int:
    """Train a supernet with the network as its teacher on what the limit allows; return the passes through both."""
    steps = round(problem.size.passes * SUPERNET_SHARE / 2 / BATCH)
    mode, teacher = single_path(supernet.space, objective.sample), Teacher(problem.network)
    take_step = steps_of(mode, seed=problem.seed, total_steps=steps, teacher=teacher)
    recipe = pretrained_supernet(epochs=1)
    train_steps(SupernetInTraining(supernet), problem.data, recipe, steps, problem.seed, take_step=take_step)
    return 2 * steps * BATCH


METHODS: dict[str, Method] = {
    "found by search": by_search,
    "NetAdapt, MobileNetV3's rule": by_netadapt(Form.MOBILENETV3),
    "NetAdapt, the original's rule": by_netadapt(Form.ORIGINAL),
    "uniform width": by_uniform_width,
    "one-shot magnitude": by_magnitude,
    "uniform width from scratch": from_scratch,
}
