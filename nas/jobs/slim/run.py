"""A slimming run from settings to trained networks: NetAdapt, its baselines, and everybody's final training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from latency_lut.devices import load_device
from nas.engines import Engine
from nas.jobs.slim.history import STATE, Finals, Lineage, key_of, load_state_file, save_state_file
from nas.jobs.slim.settings import ResourceName, SlimSettings, parse_target
from nas.jobs.slim.start import InitialNetwork, find_initial
from nas.jobs.slim.tuning import Final, FinalOutcome, Teacher, Tuner, execution_of, train_final
from nas.runs import RunFolder, RunPlace
from nas.training.resolution import change_of_form
from netadapt.baselines import magnitude, uniform
from netadapt.groups import Group
from netadapt.importance import Criterion
from netadapt.iterations import Position, Problem, Step, adapt, check_target
from netadapt.pruning import prune
from netadapt.resources import Cost, Latency, Madds, Params, Pricer, Resource
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

NETADAPT, UNIFORM, MAGNITUDE, RANDOM, INITIAL = "netadapt", "uniform width", "magnitude", "random proposals", "seed"


class SlimObserver(Protocol):
    """Is told how a run goes; every method may do nothing."""

    def phase(self, name: str) -> None:
        """Say that a new part of the run starts."""

    def proposals(self, finished: int, of: int) -> None:
        """Say how many proposals of the present step have been tuned."""

    def step(self, step: Step) -> None:
        """Say that a step was accepted, now or, on resuming, before."""

    def final(self, name: str, outcome: FinalOutcome, finished: int, of: int) -> None:
        """Say that a final training was done."""


@dataclass(frozen=True, kw_only=True)
class SlimJob:
    """A run that is ready to start: everything given has been checked and nothing has been trained."""

    settings: SlimSettings
    initial: InitialNetwork
    pricer: Pricer
    initial_cost: Cost
    target: float
    change: str | None  # how what runs differs from the network given, in words
    folder: RunFolder


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A slimmed network of one method; `state` are its weights before the final training."""

    method: str
    architecture: Architecture
    cost: Cost
    state: dict[str, Tensor]
    seed: int
    catch_up: int = 0


@dataclass(frozen=True, kw_only=True)
class SlimOutcome:
    """All a run found; `finals` maps (method, kind, seed) to accuracies."""

    job: SlimJob
    steps: tuple[Step, ...]
    random_steps: tuple[tuple[Step, ...], ...]
    candidates: tuple[Candidate, ...]
    finals: Mapping[tuple[str, str, int], FinalOutcome]
    kind: str  # of the weights that are kept: those with the better search accuracy
    state: Mapping[str, Tensor]
    initial_state: Mapping[str, Tensor]

    @property
    def result(self) -> Candidate:
        """NetAdapt's network."""
        return self.candidates[0]


def resource_of(settings: SlimSettings) -> Resource:
    """Return what is to be saved; raises UserError for a device without a table."""
    match settings.resource:
        case ResourceName.LATENCY:
            return Latency(load_device(settings.device), allow_extrapolation=settings.extrapolate)
        case ResourceName.MADDS:
            return Madds()
        case ResourceName.PARAMS:
            return Params()


def prepare(settings: SlimSettings, out: Path | RunPlace, *, resume: bool = False) -> SlimJob:
    """Check everything that can be wrong, then open the run's folder.

    Raises UserError, before anything is trained or written, for an unknown network or device, weights of another
    network, a table without the needed operations, a target that is met already or out of reach.
    """
    settings = replace(settings, torch_device=execution_of(settings).device)
    resource = resource_of(settings)
    initial = find_initial(settings)
    pricer = Pricer(resource, initial.architecture)
    initial_cost = pricer.price(initial.architecture)
    target = parse_target(settings.target, settings.resource, initial_cost.upper)
    check_target(initial.architecture, pricer, target, settings.widths())
    given = _identity(settings, resource)
    folder = RunFolder.reopen(out, given) if resume else RunFolder.create(out, given, "netadapt")
    if folder.is_complete:
        raise UserError(f"{folder.path} holds a finished run: nothing to resume; choose another --out")
    table = resource.table if isinstance(resource, Latency) else None
    change = change_of_form(resolve_network(settings.network), initial.architecture, initial.form, table)
    return SlimJob(
        settings=settings,
        initial=initial,
        pricer=pricer,
        initial_cost=initial_cost,
        target=target,
        change=change,
        folder=folder,
    )


def _identity(settings: SlimSettings, resource: Resource) -> dict[str, Any]:
    """Return what must not change between a run and its continuation: the settings, and the table's content."""
    plain = {name: str(value) if isinstance(value, str) else value for name, value in asdict(settings).items()}
    table = {"table_sha256": resource.table.sha256} if isinstance(resource, Latency) else {}
    return {**plain, "include": list(settings.include), **table}


def run_job(job: SlimJob, engine: Engine, observer: SlimObserver) -> SlimOutcome:
    """Slim the network, make the baselines, train everything to its end.

    An interrupted run is taken up where its history ends. Raises UserError when no width can shrink any further.
    """
    settings, finals = job.settings, Finals(job.folder)
    state = _initial_state(job, finals, engine, observer)
    teacher = Teacher(job.initial.architecture, state) if settings.distill else None
    tuner = Tuner(settings, job.initial.form, job.initial.preparation, teacher)
    start = Position(
        0, job.initial.architecture, tuner.judged(tuner.network(job.initial.architecture, state)), job.initial_cost
    )
    observer.phase("slimming")
    end, steps = _lineage(job, tuner, start, engine, observer, Lineage(job.folder))
    catch_up = len(steps) * settings.tune_steps
    candidates = [Candidate(method=NETADAPT, architecture=end.architecture, cost=end.cost, state=end.state, seed=0)]
    random_steps: list[tuple[Step, ...]] = []
    if settings.baselines:
        candidates += _one_shot(job, state, end.cost.value, catch_up)
        for number in range(settings.seeds):
            observer.phase(f"random proposals, seed {number}")
            lineage = Lineage(job.folder, f"random-{number}")
            last, walked = _lineage(job, tuner, start, engine, observer, lineage, random=settings.seed + 1 + number)
            random_steps.append(walked)
            candidates.append(
                Candidate(method=RANDOM, architecture=last.architecture, cost=last.cost, state=last.state, seed=number)
            )
    observer.phase("final training")
    tasks = _final_tasks(job, candidates, state)
    _train_finals(tasks, tuner, engine, finals, observer)
    found = {key_of(task): finals.done[key_of(task)] for task in tasks}
    kind = _better_kind(found)
    return SlimOutcome(
        job=job,
        steps=steps,
        random_steps=tuple(random_steps),
        candidates=tuple(candidates),
        finals=found,
        kind=kind,
        state=finals.weights(kind, 0),
        initial_state=state,
    )


def _initial_state(job: SlimJob, finals: Finals, engine: Engine, observer: SlimObserver) -> dict[str, Tensor]:
    """Return the initial network's weights, trained here first where it came without."""
    if job.initial.state is not None:
        return job.initial.state
    path = job.folder.file(STATE) / "seed.safetensors"
    if not path.exists():
        observer.phase("training the initial network")
        task = Final(INITIAL, job.initial.architecture, None, job.settings.seed_epochs, 0)
        tuner = Tuner(job.settings, job.initial.form, job.initial.preparation)
        (outcome,) = engine.map(train_final, [task], names=[task.name], shared=tuner)
        save_state_file(job.initial.architecture, outcome.state, path)
    return load_state_file(path)


def _lineage(
    job: SlimJob,
    tuner: Tuner,
    start: Position,
    engine: Engine,
    observer: SlimObserver,
    lineage: Lineage,
    random: int | None = None,
) -> tuple[Position, tuple[Step, ...]]:
    """Run the loop from where its history ends; `random` is the seed of random proposals."""
    settings, criterion = job.settings, Criterion(job.settings.criterion)
    problem = Problem(
        pricer=job.pricer,
        target=job.target,
        initial_cost=job.initial_cost,
        schedule=settings.schedule(),
        widths=settings.widths(),
        criterion=criterion,
        tune=tuner,
        seed=settings.seed if random is None else random,
        gradients=tuner.gradients if criterion is Criterion.TAYLOR else None,
        random=random is not None,
    )
    for step in lineage.steps:
        observer.step(step)
    position = lineage.position(job.pricer) or start
    for step, reached in adapt(position, problem, engine, observer.proposals):
        lineage.accept(step, reached)
        observer.step(step)
        position = reached
    return position, tuple(lineage.steps)


def _one_shot(job: SlimJob, state: dict[str, Tensor], limit: float, catch_up: int) -> list[Candidate]:
    """Return the uniform and the magnitude baseline at no more than the cost that NetAdapt reached."""
    architecture, allowed = job.initial.architecture, job.settings.widths()
    criterion = Criterion(job.settings.criterion)
    by_weight = Criterion.L2 if criterion is Criterion.TAYLOR else criterion
    found: dict[str, dict[Group, int]] = {
        UNIFORM: uniform(architecture, job.pricer, limit, allowed),
        MAGNITUDE: magnitude(architecture, state, job.pricer, limit, allowed, by_weight),
    }
    candidates = []
    for method, widths in found.items():
        smaller = resized(architecture, widths)
        cut = prune(architecture, smaller, widths, state, by_weight)
        cost = job.pricer.price(smaller)
        candidates.append(
            Candidate(method=method, architecture=smaller, cost=cost, state=cut, seed=0, catch_up=catch_up)
        )
    return candidates


def _final_tasks(job: SlimJob, candidates: list[Candidate], state: dict[str, Tensor]) -> list[Final]:
    settings = job.settings
    tasks = [Final(INITIAL, job.initial.architecture, state, 0, 0)]
    for candidate in candidates:
        seeds = [candidate.seed] if candidate.method == RANDOM else range(settings.seeds)
        for seed in seeds:
            shared = (candidate.method, candidate.architecture)
            if settings.fine_tune_epochs:
                tasks.append(Final(*shared, candidate.state, settings.fine_tune_epochs, seed, candidate.catch_up))
            if settings.scratch_epochs:
                tasks.append(Final(*shared, None, settings.scratch_epochs, seed))
    return tasks


def _train_finals(tasks: list[Final], tuner: Tuner, engine: Engine, finals: Finals, observer: SlimObserver) -> None:
    left = [task for task in tasks if key_of(task) not in finals.done]

    def done(index: int, outcome: FinalOutcome) -> None:
        finals.add(left[index], outcome, keep=left[index].method == NETADAPT)
        observer.final(left[index].name, outcome, len(finals.done), len(tasks))

    engine.map(train_final, left, names=[task.name for task in left], shared=tuner, done=done)


def _better_kind(done: Mapping[tuple[str, str, int], FinalOutcome]) -> str:
    """Return which weights of NetAdapt's network do better on the search split, the test split staying unseen."""
    own = {
        kind: outcome.search.top1 for (method, kind, seed), outcome in done.items() if method == NETADAPT and not seed
    }
    return max(own, key=lambda kind: own[kind])
