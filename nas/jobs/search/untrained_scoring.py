"""Searching without training anything: by a table of known accuracies, or by zero-cost scores."""

from __future__ import annotations

from dataclasses import dataclass

from nas.evaluators import Evaluator, TableEvaluator, ZeroCostEvaluator, load_table_evaluator
from nas.jobs.search.scoring import NetworkScore, PredictedScoring, Scoring, Watch
from nas.jobs.search.settings import IMAGE_PARALLEL, TABLE, TRAIN, ZERO_COST, SearchSettings
from nas.objectives import Objective
from nas.runs.folder import RunFolder
from nas.supernets.settings import SupernetSettings
from searchspace.choices import Genotypes
from searchspace.reference import reference, reference_names
from searchspace.space import SearchSpace, load_space
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TableScoring(PredictedScoring):
    """Known accuracies: only the networks of the table are searched."""

    table: TableEvaluator

    @property
    def rows(self) -> Genotypes:
        """The networks of the table, (n, choices)."""
        return self.table.rows.genotypes

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the space that the table is of."""
        return self.table.space

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> TableEvaluator:  # type: ignore[override]
        """Return the table."""
        return self.table

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return the reference networks that the table holds."""
        known = {row.tobytes(): float(top1) for row, top1 in zip(self.rows, self.table.rows.top1, strict=True)}
        found = []
        for name in reference_names():
            try:
                genotype = self.table.space.encode(reference(name))
            except UserError:
                continue  # not of this space
            if genotype.tobytes() in known:
                found.append(NetworkScore(name, reference(name), known[genotype.tobytes()]))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ZeroCostScoring(PredictedScoring):
    """A score of untrained networks."""

    untrained: ZeroCostEvaluator
    batch: int = IMAGE_PARALLEL
    slow: bool = True

    def scorable(self, space: SearchSpace) -> SearchSpace:
        """Return the whole space, with as many classes as the images have: every network has a score."""
        return self.untrained.space

    def evaluator(self, objective: Objective, folder: RunFolder, watch: Watch) -> ZeroCostEvaluator:  # type: ignore[override]
        """Return what scores."""
        return self.untrained

    def references(self, evaluator: Evaluator) -> tuple[NetworkScore, ...]:
        """Return none: a score compares only networks of one space."""
        return ()


def open_untrained_scoring(settings: SearchSettings, images: SupernetSettings | None) -> Scoring | None:
    """Return the scoring that `settings.evaluator` names; None where that is the usual one, or a training.

    Raises UserError for a table that does not fit the space, an unknown score, or images beside a table.
    """
    named, space = settings.evaluator, settings.space
    if named is None or named == TRAIN:
        return None
    if named.startswith(TABLE):
        if images is not None:
            raise UserError(f"--evaluator {named:.60} knows its accuracies and needs no images: leave --data out")
        return TableScoring(
            seed=settings.seed, table=load_table_evaluator(named.removeprefix(TABLE), load_space(space))
        )
    score = named.removeprefix(ZERO_COST)
    return ZeroCostScoring(seed=settings.seed, untrained=_zero_cost(load_space(space), score, settings.seed, images))


def _zero_cost(space: SearchSpace, score: str, seed: int, images: SupernetSettings | None) -> ZeroCostEvaluator:
    if images is None:
        return ZeroCostEvaluator(space=space, score=score, seed=seed)
    from nas.data import load_data

    resolution = max(space.spec.resolutions)
    data = load_data(images.data, images.image_size, seed, images.subset, resolution=resolution)
    return ZeroCostEvaluator(
        space=space.with_classes(len(data.classes)),
        score=score,
        seed=seed,
        data=images.data,
        image_size=data.image_size,
        subset=images.subset,
    )
