"""The files of a finished slimming run; `result.json` comes last and holds nothing that differs between two runs."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import asdict
from typing import Any

from nas.jobs.slim.drawings import channels_picture, path_picture
from nas.jobs.slim.history import STATE
from nas.jobs.slim.page import netadapt_page
from nas.jobs.slim.run import INITIAL, NETADAPT, SlimOutcome
from nas.jobs.slim.settings import ResourceName
from nas.jobs.slim.timing import HostTiming, export_and_time, filled_network, usage_of
from nas.jobs.slim.verdict import scores, verdict
from nas.report.drawing import write_picture
from nas.runs.folder import ARCHITECTURE, REPORT
from nas.training.evaluation import chance_warning, evaluated_on_test
from netadapt.iterations import Step
from netadapt.resources import Latency
from searchspace.architecture import Architecture
from searchspace.weights import WEIGHTS_FILE, save_weights
from searchspace.yaml_io import save_architecture

STEPS_CSV, CHANNELS_PNG, PATH_PNG = "steps.csv", "channels.png", "path.png"
EXPORT_JSON = "export.json"


def write_files(outcome: SlimOutcome, *, export: bool, compare: Architecture | None = None) -> dict[str, Any]:
    """Write every file of a run and return the content of `result.json`.

    `compare` is a network whose widths the page shows beside the result's. A missing converter does not spoil a
    finished run: the reason stands in export.json instead.
    """
    folder = outcome.job.folder
    save_architecture(outcome.result.architecture, folder.file(ARCHITECTURE))
    running = outcome.job.initial.form.of(outcome.result.architecture)
    usage = usage_of(outcome)
    notes = usage.file_notes()
    save_weights(filled_network(running, outcome.state), folder.file(WEIGHTS_FILE), kind=outcome.kind, **notes)
    folder.write(STEPS_CSV, steps_csv(outcome.steps))
    write_picture(folder, CHANNELS_PNG, lambda: channels_picture(outcome))
    write_picture(folder, PATH_PNG, lambda: path_picture(outcome))
    timing = export_and_time(outcome) if export else None
    if isinstance(timing, HostTiming):
        measured = {"measured_saving_pct": timing.measured_saving_pct}
        folder.write_json(EXPORT_JSON, {**asdict(timing), **measured})
    elif timing is not None:
        folder.write_json(EXPORT_JSON, {"failed": timing})
    folder.write(REPORT, netadapt_page(outcome, timing, compare))
    result = result_document(outcome)
    if usage.preparation is not None:
        result["preparation"] = usage.preparation.as_dict()
    if compare is not None:
        result["compared_with"] = str(compare)
    if isinstance(timing, HostTiming):
        result["usage"] = dict(timing.result.usage)
    folder.finish(result)
    shutil.rmtree(folder.file(STATE), ignore_errors=True)
    return result


def result_document(outcome: SlimOutcome) -> dict[str, Any]:
    """Return the content of `result.json`."""
    job, result = outcome.job, outcome.result
    found = scores(outcome.finals)
    name = job.settings.resource.value
    document: dict[str, Any] = {
        "network": job.settings.network,
        "architecture": str(result.architecture),
        "seed_architecture": str(job.initial.architecture),
        "initial_weights": job.initial.weights,
        **_form(outcome),
        "resource": name,
        "target": job.target,
        "steps": len(outcome.steps),
        "params": result.architecture.params,
        "madds": result.architecture.madds,
        "seed_params": job.initial.architecture.params,
        "seed_madds": job.initial.architecture.madds,
        "weights": outcome.kind,
        "seed": job.settings.seed,
        "accuracy": [
            {"method": s.method, "kind": s.kind, "test_top1": s.mean, "spread": s.spread, "repetitions": list(s.top1)}
            for s in found
        ],
        "baselines": [
            {"method": one.method, "seed": one.seed, name: one.cost.value, "architecture": str(one.architecture)}
            for one in outcome.candidates[1:]
        ],
        "verdict": list(verdict(found)),
        "warnings": warnings(outcome),
    }
    if job.settings.resource is ResourceName.LATENCY:
        initial, slim = job.initial_cost, result.cost
        document |= {"device": job.settings.device, "seed_latency_ms": initial.value, "target_ms": job.target}
        resource = job.pricer.resource
        assert isinstance(resource, Latency)
        document |= {"latency_table": {"device": job.settings.device, "sha256": resource.table.sha256}}
        document |= {"latency_ms": slim.value, "low_ms": 2 * slim.value - slim.upper, "high_ms": slim.upper}
    return document


def _form(outcome: SlimOutcome) -> dict[str, Any]:
    """Say at which resolution accuracies and costs are, and what runs."""
    job = outcome.job
    running = job.initial.form.of(outcome.result.architecture)
    return {
        "image_size": running.resolution,
        "cost_resolution": outcome.result.architecture.resolution,
        "runs_as": str(running),
        "runs_as_madds": running.madds,
        "evaluated": evaluated_on_test(running, job.settings.data),
        "change": job.change,
    }


def warnings(outcome: SlimOutcome) -> list[str]:
    """Return what is loudly to be said of the initial network's and the result's accuracy."""
    classes = outcome.job.initial.architecture.classes
    said = [
        chance_warning(final.test, classes, f"{method}, {kind},")
        for (method, kind, seed), final in outcome.finals.items()
        if method in (INITIAL, NETADAPT) and seed == 0
    ]
    return [warning for warning in said if warning is not None]


def steps_csv(steps: tuple[Step, ...]) -> str:
    """Return the accepted steps as CSV text: one row a step, costs in the unit of the resource."""
    columns = (
        "step",
        "group",
        "before",
        "after",
        "cost_before",
        "cost",
        "upper",
        "accuracy_before",
        "accuracy",
        "proposals",
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for step in steps:
        values = asdict(step) | {"proposals": len(step.tried)}
        writer.writerow([f"{value:.4f}" if isinstance(value := values[name], float) else value for name in columns])
    return buffer.getvalue()
