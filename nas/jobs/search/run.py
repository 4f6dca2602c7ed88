"""A whole search run in its folder: search, export, report.

What can be refused is refused before, in `prepare`. With `--resume` the search goes on from its journal and every later
step is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nas.bounds import bound_for
from nas.engines import Engine, InProcessEngine
from nas.evaluators import Evaluator
from nas.export import ExportRecord, export_headed
from nas.jobs.search.ask_tell import run_search
from nas.jobs.search.bounding import boxes_of, proof_beside
from nas.jobs.search.drive import driver, one_network_a_trial
from nas.jobs.search.figures import figures_of
from nas.jobs.search.files import MODEL, write_search_files
from nas.jobs.search.found import FoundNetwork, Progress, SearchResult
from nas.jobs.search.header import search_header
from nas.jobs.search.journal import Journal
from nas.jobs.search.page import SearchSummary
from nas.jobs.search.prepare import PreparedSearch, front_costs
from nas.jobs.search.scoring import Watch
from nas.jobs.search.snapshot import SNAPSHOT, Snapshots
from nas.jobs.search.summary import summary_of
from nas.jobs.search.trials import TrialOptions, Trials
from nas.jobs.search.watching import SearchWatch
from nas.report.live import LivePage
from nas.runs import RunFolder
from nas.runs.folder import JOURNAL, REPORT
from nas.strategies import ExactSearch
from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork, TaskHead
from searchspace.support.errors import UserError


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
    with proof_beside(prepared.settings, evaluator) as proof:
        found = _search(prepared, evaluator, folder, watch.progress, engine or InProcessEngine(), timeout_s)
        prepared.strategy.save(folder.path)
        prepared.scoring.keep_front(found.front, folder, watch)
        with watch.stage("Bounding the best of the space"):
            known = np.array([found.winner.genotype], dtype=np.uint8)
            boxes = boxes_of(prepared.settings.evaluations)
            bound = bound_for(evaluator, prepared.objective, known, boxes, proof)
    figures = figures_of(prepared, found, exported=export)
    summary = replace(summary_of(prepared, evaluator, found), figures=figures, bound=bound)
    if export or prepared.scoring.trains:
        summary = _with_network(prepared, found.winner, summary, folder, watch, export)
    Snapshots(folder.file(SNAPSHOT)).remove()
    with watch.stage("Writing the report"):
        result = write_search_files(folder, summary, found.front)
    return summary, result


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
        per_network=prepared.scoring.slow or one_network_a_trial(engine),
        threads=settings.threads if prepared.scoring.slow else None,
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
            snapshots=Snapshots(folder.file(SNAPSHOT)),
            drive=driver(prepared, trials, engine, folder, outside),
        )


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
