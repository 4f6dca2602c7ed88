"""The pictures of a slimming run, from its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nas.jobs.slim.pictures as pictures
from nas.jobs.slim.run import NETADAPT, RANDOM, SlimOutcome
from nas.jobs.slim.verdict import scores
from netadapt.groups import groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def channels_picture(outcome: SlimOutcome) -> Drawing:
    """Draw the widths of the initial network and of the result."""
    before, after = groups(outcome.job.initial.architecture), groups(outcome.result.architecture)
    names = [group.name for group in before]
    return pictures.draw_channels(names, [group.width for group in before], [group.width for group in after])


def path_picture(outcome: SlimOutcome) -> Drawing:
    """Draw the accuracy along the way and at the end, for every method."""
    resource = outcome.job.pricer.resource
    lineages = [(NETADAPT, outcome.steps), *((RANDOM, steps) for steps in outcome.random_steps)]
    paths = [
        pictures.Path(
            method,
            (steps[0].cost_before, *(step.cost for step in steps)),
            (steps[0].accuracy_before, *(step.accuracy for step in steps)),
        )
        for method, steps in lineages
        if steps
    ]
    costs = {candidate.method: candidate.cost.value for candidate in outcome.candidates}
    ends = [
        pictures.End(score.method, score.kind, costs[score.method], score.top1)
        for score in scores(outcome.finals)
        if score.method in costs
    ]
    unit = f" [{resource.unit}]" if resource.unit else ""
    return pictures.draw_paths(paths, ends, cost=f"{resource.name}{unit}")
