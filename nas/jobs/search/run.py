"""A whole search run, from its settings to its folder: check, search, export, report.

What can be refused is refused before the folder is made: a budget no network meets, an unknown device, a space without
known accuracies. With `--resume` the search goes on from its journal and every later step is done again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from latency_lut import LatencyTable, predict
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from latency_lut.errors import UnmeasuredOp
from latency_lut.limits import doubtful_kinds, doubts, require_above_constant
from latency_lut.measure.plan import space_ops
from latency_lut.table import EXCLUDED_MS
from nas.bounds import Bound, bound_for
from nas.engines import Engine, InProcessEngine
from nas.evaluators import Evaluator
from nas.export import ExportRecord, export_headed
from nas.jobs.search.ask_tell import (
    FoundNetwork,
    FrontCosts,
    Progress,
    SearchLoop,
    SearchResult,
    run_search,
    search_header,
)
from nas.jobs.search.figures import figures_of
from nas.jobs.search.files import MODEL, REPORT, write_search_files
from nas.jobs.search.journal import Journal
from nas.jobs.search.page import ScoredNetwork, SearchSummary
from nas.jobs.search.scoring import NetworkScore, Scoring, Watch
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.trials import TrialOptions, Trials
from nas.jobs.search.watching import SearchWatch
from nas.objectives import METRICS, JointCost, Measures, Objective, Part, front_of, metric
from nas.report.live import LivePage
from nas.report.pictures import Point
from nas.runs import RunFolder, versions
from nas.runs.folder import JOURNAL
from nas.strategies import ExactSearch, Strategy, make_strategy
from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.heads import HeadedNetwork, TaskHead
from searchspace.heads import head as head_of
from searchspace.space import AROUND, SearchSpace, load_space
from searchspace.support.errors import Note, UserError


@dataclass(frozen=True)
class Priced:
    """The networks of a search and what they cost: its space, first latency table, objective and metrics."""

    settings: SearchSettings
    space: SearchSpace
    table: LatencyTable
    objective: Objective
    measures: Measures


@dataclass(frozen=True)
class PreparedSearch(Priced):
    """A search that is possible, to be run once: beside its costs where accuracies come from, and a new strategy."""

    scoring: Scoring
    strategy: Strategy


def prepare_search(settings: SearchSettings, scoring: Scoring) -> PreparedSearch:
    """Load and check what a search needs, within a second.

    Raises UserError for an unknown device, space or strategy, a space that cannot be scored, a table that lacks
    operations of the space, or a budget that no network meets, with the possible range.
    """
    if settings.also and scoring.trains:
        raise UserError("several devices at once are searched with predicted accuracies only: leave --data out")
    if settings.head is not None and scoring.trains:
        raise UserError("a search with a head ranks backbones by their predicted ImageNet accuracy: leave --data out")
    priced = price(settings, scoring.scorable(load_space(settings.space)))
    strategy = make_strategy(settings.strategy, priced.objective, settings.seed, settings.evaluations, scoring.learnt)
    return PreparedSearch(**vars(priced), scoring=scoring, strategy=strategy)


def price(settings: SearchSettings, space: SearchSpace) -> Priced:
    """Compile what the networks of a space cost on every device that the settings name, a head included."""
    around = _network_of(settings.space, space)
    if settings.head is not None:
        space = space.with_head(head_of(settings.head, settings.classes))
    costs = _costs(settings, space)
    _say_doubts(settings, space, costs)
    limits = {settings.device: settings.budget_ms, **settings.also}
    parts = [Part(device, costs[device], limit_ms) for device, limit_ms in limits.items()]
    cost = JointCost(*parts) if settings.also else parts[0].cost
    objective = Objective(cost, settings.budget_ms, around=around)
    return Priced(settings, space, parts[0].cost.table, objective, Measures(space, {"": parts[0].cost, **costs}))


def _network_of(name: str, space: SearchSpace) -> Genotypes | None:
    """Return the genotype, shape (choices,), of the network that a space is around; None for other spaces."""
    if not name.startswith(AROUND):
        return None
    from searchspace.around import network_around

    return space.encode(network_around(name).with_classes(space.spec.classes))


def _costs(settings: SearchSettings, space: SearchSpace) -> dict[str, CompiledCost]:
    """Return the compiled latency on every device that has a budget or stands on the front."""
    named = (one.device for one in map(metric, settings.front) if one.device)
    return {
        device: CompiledCost(space, _table(device, space, settings), settings.extrapolate)
        for device in dict.fromkeys((settings.device, *settings.also, *named))
    }


def _table(device: str, space: SearchSpace, settings: SearchSettings) -> LatencyTable:
    table = load_device(device)
    return table.excluding(doubtful_kinds(table, space_ops(space))) if settings.only_supported else table


def _say_doubts(settings: SearchSettings, space: SearchSpace, costs: Mapping[str, CompiledCost]) -> None:
    """Refuse budgets that say nothing on their device and spaces whose networks all hold what it cannot run; warn."""
    for device, budget_ms in {settings.device: settings.budget_ms, **settings.also}.items():
        cost = costs[device]
        require_above_constant(cost.table, budget_ms)
        ops = space_ops(space)
        if settings.only_supported:
            kinds = doubtful_kinds(cost.table, ops)
            if kinds and cost.extremes().fastest_ms >= EXCLUDED_MS:
                named = ", ".join(kind.value for kind in kinds)
                raise UserError(
                    f"every network of {settings.space} holds {named}, which {device} cannot run or was never "
                    "timed with: choose another --space (mnasnet), or leave out --only-supported"
                )
            ops = {op for op in ops if op.kind not in kinds}
        for doubt in doubts(cost.table, ops, budget_ms):
            warnings.warn(doubt, Note, stacklevel=2)


def require_exporter() -> None:
    """Raise UserError, saying what to install, when a network cannot be exported here."""
    for package in ("ai_edge_litert", "flatbuffers"):
        if find_spec(package) is None:
            raise UserError(
                f"exporting the found network needs {package}: pip install 'phone-nas[litert]', or add --no-export"
            )


def run_to_folder(
    prepared: PreparedSearch,
    folder: RunFolder,
    *,
    export: bool = True,
    watch: Watch | None = None,
    engine: Engine | None = None,
    timeout_s: float | None = None,
) -> tuple[SearchSummary, dict[str, Any]]:
    """Search, export and report into `folder`, going on from the journal there if there is one.

    Networks are scored on `engine`, in this process by default; one that takes over `timeout_s` is tried again.
    Returns the summary and the content of `result.json`. Raises UserError when nothing within the budget was found or
    the journal is of another search, OSError when the folder cannot be written, KeyboardInterrupt saying what is
    saved.
    """
    watch = watch or Watch()
    evaluator = prepared.scoring.evaluator(prepared.objective, folder, watch)
    if isinstance(prepared.strategy, ExactSearch):
        fastest = prepared.objective.fastest[None]
        prepared.strategy.solve = lambda: bound_for(evaluator, prepared.objective, fastest, boxes=0).best
    found = _search(prepared, evaluator, folder, watch.progress, engine or InProcessEngine(), timeout_s)
    prepared.strategy.save(folder.path)
    prepared.scoring.keep_front(found.front, folder, watch)
    with watch.stage("Bounding the best of the space"):
        bound = _bound(prepared, evaluator, np.array([found.winner.genotype], dtype=np.uint8))
    figures = figures_of(prepared, found, exported=export)
    summary = replace(_summary(prepared, evaluator, found), figures=figures, bound=bound)
    if export or prepared.scoring.trains:
        summary = _with_network(prepared, found.winner, summary, folder, watch, export)
    with watch.stage("Writing the report"):
        result = write_search_files(folder, summary, found.front)
    return summary, result


def _bound(prepared: PreparedSearch, evaluator: Evaluator, known: Genotypes) -> Bound:
    """Bound the best of the space, with less work after a short search."""
    boxes = min(max(prepared.settings.evaluations // 8, 256), 4096)
    return bound_for(evaluator, prepared.objective, known, boxes)


def _search(
    prepared: PreparedSearch,
    evaluator: Evaluator,
    folder: RunFolder,
    progress: Callable[[Progress], None],
    engine: Engine,
    timeout_s: float | None,
) -> SearchResult:
    settings, objective, strategy = prepared.settings, prepared.objective, prepared.strategy
    size = {"evaluations": settings.evaluations, "batch": settings.parallel or prepared.scoring.batch}
    header = search_header(objective, strategy, evaluator, prepared.table, **size)
    options = TrialOptions(
        per_network=prepared.scoring.trains or _one_network_a_trial(engine),
        threads=settings.threads if prepared.scoring.trains else None,
        timeout_s=timeout_s,
    )
    facts = {name: str(value) for name, value in settings.as_dict().items()}
    page = LivePage(folder.file(REPORT), f"Search for a network within {settings.budget_ms:g} ms", facts)
    outside = SearchWatch(engine, page, progress, getattr(evaluator, "images", 0))
    path = folder.file(JOURNAL)
    with (
        Journal.resume(path, header) if path.exists() else Journal.create(path, header) as journal,
        Trials(
            evaluator,
            engine,
            folder.path,
            options,
            latency_ms=objective.first_cost.latency_ms,
            changed=outside.task_done,
        ) as trials,
    ):
        return run_search(
            objective,
            strategy,
            trials,
            journal,
            **size,
            progress=outside.batch_done,
            front=front_costs(prepared),
            drive=_driver(prepared, trials, engine, folder, outside),
        )


def _one_network_a_trial(engine: Engine) -> bool:
    return bool(getattr(engine, "one_network_a_trial", False))


def _driver(
    prepared: PreparedSearch, trials: Trials, engine: Engine, folder: RunFolder, outside: SearchWatch
) -> Callable[[SearchLoop], None] | None:
    """Return what has Ray Tune run trainings, or NNI every network, where they run there.

    Raises UserError for early stopping elsewhere than on Ray.
    """
    settings = prepared.settings
    resources = getattr(engine, "resources", None)
    if settings.early_stopping and resources is None:
        raise UserError("--early-stopping is Ray Tune's: add --engine ray")
    if _one_network_a_trial(engine):
        return _nni_driver(prepared, trials, engine, folder, outside)
    if settings.evaluator != "train" or resources is None:
        return None
    from nas.jobs.search.tune import run_trials

    def drive(loop: SearchLoop) -> None:
        run_trials(
            loop,
            trials,
            folder.path,
            evaluations=settings.evaluations,
            batch=settings.parallel or prepared.scoring.batch,
            resources=resources,
            early_stopping=settings.early_stopping,
            told=lambda: outside.batch_done(loop.progress(settings.evaluations)),
        )

    return drive


def _nni_driver(
    prepared: PreparedSearch, trials: Trials, engine: Any, folder: RunFolder, outside: SearchWatch
) -> Callable[[SearchLoop], None]:
    """Return what has NNI score each network in a trial of its own."""
    from nas.engines._nni import trials_at_once
    from nas.jobs.search.nni_trial import program
    from nas.jobs.search.tune import BatchOfTrials

    settings = prepared.settings
    size = settings.parallel or prepared.scoring.batch

    def drive(loop: SearchLoop) -> None:
        engine.run_trials(
            BatchOfTrials(
                loop,
                trials,
                evaluations=settings.evaluations,
                size=size,
                told=lambda: outside.batch_done(loop.progress(settings.evaluations)),
            ),
            prepared.space,
            folder.path,
            program(folder.path),
            at_once=trials_at_once(size),
            timeout_s=trials.options.timeout_s,
        )

    return drive


def front_costs(prepared: Priced) -> FrontCosts:
    """Return what gives the metrics of the front for networks of shape (n, choices)."""
    chosen = [metric(name) for name in prepared.settings.front]
    return lambda genotypes: [prepared.measures.values(one, genotypes) for one in chosen]


def _with_network(
    prepared: PreparedSearch,
    winner: FoundNetwork,
    summary: SearchSummary,
    folder: RunFolder,
    watch: Watch,
    export: bool,
) -> SearchSummary:
    """Make the winner's network, export it where asked for, and add what both were found to be."""
    network, trained = prepared.scoring.network(winner, folder, watch)
    record: ExportRecord | None = None
    failed: str | None = None
    precision = prepared.table.provenance.precision.value
    if export:
        with watch.stage("Exporting to TFLite"):
            try:
                usage = prepared.scoring.usage(network).for_device(
                    prepared.settings.device, prepared.table, summary.winner.prediction
                )
                seed, path = prepared.settings.seed, folder.file(MODEL)
                if prepared.space.task_head is None:
                    record = prepared.scoring.export(network, path, precision, usage, seed)
                else:
                    record = _export_headed(winner.architecture, prepared.space.task_head, path, precision, seed)
            except UserError as error:
                failed = str(error)  # the search is done and its result stands, with the reason beside it
    summary = replace(summary, export=record, export_failed=failed)
    if not trained:
        return summary
    with watch.stage("Testing the network found"):
        return replace(summary, findings=prepared.scoring.findings(network))


def _export_headed(architecture: Architecture, head: TaskHead, path: Path, precision: str, seed: int) -> ExportRecord:
    """Write the winner with its head and random weights."""
    from searchspace.modules.headed import build_headed

    module = build_headed(HeadedNetwork(architecture, head), seed=seed)
    origin = f"random numbers, seed {seed}"
    return export_headed(module, path, trained=False, precision=precision, origin=origin, seed=seed)


def _summary(prepared: PreparedSearch, evaluator: Evaluator, found: SearchResult) -> SearchSummary:
    settings = prepared.settings
    winner = NetworkScore("found network", found.winner.architecture, found.winner.top1)
    return SearchSummary(
        winner=_priced(prepared, winner),
        front=latency_front(prepared, found),
        references=_references(prepared, evaluator),
        budget_ms=settings.budget_ms,
        device=settings.device,
        space=prepared.space.name,
        seed=settings.seed,
        evaluations=found.evaluations,
        table=prepared.table,
        accuracy=accuracy_label(evaluator.label, settings.head),
        accuracy_basis=evaluator.basis,
        settings={
            name: str(value) for name, value in {**settings.as_dict(), **prepared.strategy.facts, **versions()}.items()
        },
    )


def latency_front(prepared: Priced, found: SearchResult) -> tuple[Point, ...]:
    """Return the front of top-1 and the first device's latency, fastest first."""
    latency_ms = prepared.measures.values(METRICS["latency_ms"], found.evaluated.genotypes)
    front = front_of(found.evaluated.top1, [latency_ms])
    return tuple(Point(float(latency_ms[index]), float(found.evaluated.top1[index])) for index in front)


def _references(prepared: PreparedSearch, evaluator: Evaluator) -> tuple[ScoredNetwork, ...]:
    """Price the reference networks; one with an operation the table does not know has no place in the comparison."""
    priced = []
    for score in prepared.scoring.references(evaluator):
        try:
            priced.append(_priced(prepared, score))
        except UnmeasuredOp:
            continue
    return tuple(priced)


def accuracy_label(label: str, head: str | None) -> str:
    """Return what a run's top-1 is: with a head, still that of the backbone as a classifier."""
    return label if head is None else f"{label}, of the backbone as an ImageNet classifier and not of {head}"


def _priced(prepared: PreparedSearch, score: NetworkScore) -> ScoredNetwork:
    head = prepared.space.task_head
    network = score.architecture if head is None else HeadedNetwork(score.architecture, head)
    return ScoredNetwork(
        name=score.name,
        architecture=score.architecture,
        prediction=predict(prepared.table, network, prepared.settings.extrapolate),
        top1=score.top1,
        note=score.note,
        head=head,
    )
