"""The page of a finished slimming made anew from its logs and result: no weights are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas.export import AccuracyCheck, ExportRecord
from nas.jobs.slim.files import EXPORT_JSON
from nas.jobs.slim.history import read_finals, read_steps
from nas.jobs.slim.page import netadapt_page
from nas.jobs.slim.run import INITIAL, NETADAPT, RANDOM, Candidate, SlimJob, SlimOutcome, resource_of
from nas.jobs.slim.settings import ResourceName, SlimSettings
from nas.jobs.slim.start import InitialNetwork
from nas.jobs.slim.timing import HostTiming
from nas.options import known_fields, made
from nas.runs import RunFolder
from netadapt.resources import Cost, Pricer
from searchspace.low_resolution import RunForm
from searchspace.support.json_text import read_json_object
from searchspace.text import parse


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page.

    Costs are those that the run found. Raises UserError for a damaged log or a device that is no longer there.
    """
    result = folder.result()
    chosen, _ = folder.started_with()
    settings = made(SlimSettings, chosen)
    other = result.get("compared_with")
    return netadapt_page(_outcome(folder, settings, result), _timing(folder), parse(other) if other else None)


def _outcome(folder: RunFolder, settings: SlimSettings, result: dict[str, Any]) -> SlimOutcome:
    """Return what a run found, weights left out."""
    initial = parse(result["seed_architecture"])
    resource = resource_of(settings)
    form = RunForm(result.get("image_size") or settings.image_size or initial.resolution)
    begun_with = InitialNetwork(initial, form, None, result.get("initial_weights", "not noted by that version"))
    candidates = tuple(_candidates(settings, result))
    finals = read_finals(folder)
    order = [INITIAL, *dict.fromkeys(one.method for one in candidates)]
    job = SlimJob(
        settings=settings,
        initial=begun_with,
        pricer=Pricer(resource, initial),
        initial_cost=_initial_cost(settings, result),
        target=result["target"],
        change=result.get("change"),
        folder=folder,
    )
    return SlimOutcome(
        job=job,
        steps=read_steps(folder),
        random_steps=tuple(read_steps(folder, f"random-{one.seed}") for one in candidates if one.method == RANDOM),
        candidates=candidates,
        finals={key: finals[key] for key in sorted(finals, key=lambda key: (order.index(key[0]), key[1:]))},
        kind=result["weights"],
        state={},
        initial_state={},
    )


def _initial_cost(settings: SlimSettings, result: dict[str, Any]) -> Cost:
    """Return what the initial network costs; no page shows how wide its interval is."""
    named = {
        ResourceName.LATENCY: "seed_latency_ms",
        ResourceName.MADDS: "seed_madds",
        ResourceName.PARAMS: "seed_params",
    }
    value = float(result[named[settings.resource]])
    return Cost(value, value)


def _candidates(settings: SlimSettings, result: dict[str, Any]) -> Iterator[Candidate]:
    """Yield the networks of every method, NetAdapt's first."""
    if settings.resource is ResourceName.LATENCY:
        cost = Cost(result["latency_ms"], result["high_ms"])
    else:
        cost = Cost(*(float(result[settings.resource.value]),) * 2)
    yield Candidate(method=NETADAPT, architecture=parse(result["architecture"]), cost=cost, state={}, seed=0)
    for one in result["baselines"]:
        value = one[settings.resource.value]
        architecture = parse(one["architecture"])
        yield Candidate(
            method=one["method"], architecture=architecture, cost=Cost(value, value), state={}, seed=one["seed"]
        )


def _timing(folder: RunFolder) -> HostTiming | str | None:
    """Return how the exported network was timed, why it was not, or None where no export was asked for."""
    path = folder.file(EXPORT_JSON)
    if not path.is_file():
        return None
    found = read_json_object(path, "export file")
    if "failed" in found:
        return str(found["failed"])
    return HostTiming(
        seed_ms=found["seed_ms"],
        result=known_fields(ExportRecord, found["result"]),
        check=known_fields(AccuracyCheck, found["check"]),
        predicted_by=found["predicted_by"],
        predicted_saving_pct=found["predicted_saving_pct"],
    )
