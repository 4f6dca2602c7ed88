"""What a finished search says of itself: its winner, its front and the reference networks, priced."""

from __future__ import annotations

from latency_lut import predict
from latency_lut.errors import UnmeasuredOp
from nas.evaluators import Evaluator
from nas.jobs.search.found import SearchResult
from nas.jobs.search.page import ScoredNetwork, SearchSummary
from nas.jobs.search.prepare import PreparedSearch, latency_front
from nas.jobs.search.scoring import NetworkScore
from nas.runs import versions
from searchspace.heads import HeadedNetwork


def summary_of(prepared: PreparedSearch, evaluator: Evaluator, found: SearchResult) -> SearchSummary:
    """Return what the pages and files of a finished search are made of, before its winner is exported."""
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
