"""The page of a finished experiment made anew from what its stages found."""

from __future__ import annotations

from dataclasses import fields

from nas.jobs.reproduce.experiments import experiment
from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.page import experiment_page
from nas.jobs.reproduce.pipeline import titled
from nas.jobs.reproduce.settings import ReproduceSettings, chosen_scale
from nas.runs import RunFolder


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page; raises UserError for an experiment that is no longer there."""
    result = folder.result()
    chosen, _ = folder.started_with()
    known = {field.name for field in fields(ReproduceSettings)}
    given = {name: value for name, value in chosen.items() if name in known}
    settings = ReproduceSettings(**{**given, "scale": chosen_scale(given["scale"])})
    one = experiment(result["experiment"])
    found = {name: Findings.from_dict(findings) for name, findings in result["stages"].items()}
    return experiment_page(one.title, one.about, titled(one, found), settings)
