"""The page of a finished search made anew from its folder: from its journal and results, without searching again."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from latency_lut import predict
from nas.bounds import Bound
from nas.export import ExportRecord
from nas.jobs.search.figures import figures_of
from nas.jobs.search.files import EXPORT_JSON
from nas.jobs.search.found import SearchResult, result_of
from nas.jobs.search.journal import read_batches
from nas.jobs.search.page import ScoredNetwork, SearchSummary, search_page
from nas.jobs.search.prepare import Priced, front_costs, latency_front, price
from nas.jobs.search.scoring import PredictedScoring
from nas.jobs.search.settings import SearchSettings
from nas.jobs.search.untrained_scoring import open_untrained_scoring
from nas.objectives import joined
from nas.runs import RunFolder
from nas.runs.folder import JOURNAL
from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.support.json_text import read_json_object
from searchspace.text import parse


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page.

    Latencies are those of the tables used now. Raises UserError for a run made in another space or by a table under
    which its networks cannot be priced.
    """
    result = folder.result()
    chosen, _ = folder.started_with()
    names = {field.name for field in fields(SearchSettings)}
    settings = SearchSettings(**{name: value for name, value in chosen.items() if name in names})
    winner = parse(result["architecture"])
    space = load_space(settings.space)
    scored_on_images = "data" in chosen
    known = None if scored_on_images else open_untrained_scoring(settings, None)
    scoring = known or PredictedScoring()
    space = space.with_classes(winner.classes) if scored_on_images else scoring.scorable(space)
    priced = price(settings, space, scoring.rows)
    batches = read_batches(folder.file(JOURNAL))
    history = [priced.objective.results(priced.space.check(one.genotypes), one.top1) for one in batches]
    finished = [results.rows(~one.partial) for one, results in zip(batches, history, strict=True)]
    evaluated = joined([results.evaluated for results in finished])
    found = result_of(priced.objective, evaluated, front_costs(priced))
    summary = _summary(priced, found, result, winner, chosen)
    path = folder.file(EXPORT_JSON)
    if path.is_file():
        summary = replace(summary, export=_export(read_json_object(path, "export file")))
    return search_page(summary)


def _summary(
    priced: Priced, found: SearchResult, result: dict[str, Any], winner: Architecture, chosen: dict[str, Any]
) -> SearchSummary:
    settings = priced.settings

    def scored(name: str, network: Architecture, top1: float, note: str = "") -> ScoredNetwork:
        head = priced.space.task_head
        whole = network if head is None else HeadedNetwork(network, head)
        prediction = predict(priced.table, whole, settings.extrapolate)
        return ScoredNetwork(name=name, architecture=network, prediction=prediction, top1=top1, note=note, head=head)

    return SearchSummary(
        winner=scored("found network", winner, result["top1"]),
        front=latency_front(priced, found),
        references=tuple(
            scored(one["network"], reference(one["network"]).with_classes(winner.classes), one["top1"], one["note"])
            for one in result["references"]
        ),
        budget_ms=settings.budget_ms,
        device=settings.device,
        space=priced.space.name,
        seed=settings.seed,
        evaluations=found.evaluations,
        table=priced.table,
        accuracy=result["accuracy"]["label"],
        accuracy_basis=result["accuracy"]["basis"],
        settings={name: str(value) for name, value in chosen.items()},
        findings=result.get("trained", {}),
        figures=figures_of(priced, found, exported=False),
        bound=Bound(
            proved=result.get("bound_top1"),
            estimated=result.get("estimated_bound_top1"),
            of="space" if priced.objective.rows is None else "table",
        ),
    )


def _export(document: dict[str, Any]) -> ExportRecord:
    known = {field.name for field in fields(ExportRecord)}
    return ExportRecord(**{name: value for name, value in document.items() if name in known})
