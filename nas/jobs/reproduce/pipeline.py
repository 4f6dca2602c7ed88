"""Running an experiment stage by stage, each in a folder of its own, and gathering what they found on one page.

A finished stage is not run again, and a stage that was interrupted goes on: the jobs it is made of resume in their own
folders below it. So `--resume` after a kill at any moment continues to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nas.engines import Engine
from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.settings import ReproduceSettings
from nas.jobs.reproduce.watching import ExperimentWatch
from nas.runs import RunFolder, RunPlace
from nas.runs.folder import SETTINGS

Report = Callable[[float, float], None]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage is given: the settings, its folder, what earlier stages found, and whom to tell how far it is.

    `report(done, total)` moves the stage's progress bar; `say` prints a line.
    """

    settings: ReproduceSettings
    folder: Path
    before: Mapping[str, Findings]
    report: Report
    say: Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """One part of an experiment: `run` leaves its files in the context's folder and returns what it found."""

    name: str
    title: str
    run: Callable[[Context], Findings]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A paper's experiment: its stages in order, and what the page says at its top."""

    name: str
    title: str
    about: str
    stages: Sequence[Stage]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Whom a run tells: `stage` around each stage gives what takes (done, total); `say` takes a line."""

    stage: Callable[[str], AbstractContextManager[Report]] = lambda name: nullcontext(lambda done, total: None)
    say: Callable[[str], None] = field(default=lambda line: None)


def open_experiment(settings: ReproduceSettings, place: RunPlace, *, resume: bool) -> RunFolder:
    """Open the folder of an experiment; raises UserError where it belongs to other settings or is in use."""
    given = asdict(settings) | {"scale": str(settings.scale)}
    return RunFolder.reopen(place, given) if resume else RunFolder.create(place, given, "reproduce")


def run_experiment(
    experiment: Experiment,
    settings: ReproduceSettings,
    folder: RunFolder,
    watch: Watch | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Run what is left of an experiment, write its page and result, and return the result.

    The dashboard of `engine` shows how far it is. Raises what a stage raises; finished stages are kept.
    """
    watch = watch or Watch()
    outside = ExperimentWatch(experiment.title, experiment.about, settings, folder, engine)
    found: dict[str, Findings] = {}
    for number, stage in enumerate(experiment.stages, start=1):
        part = folder.file(f"{number:02d}-{stage.name}")
        with watch.stage(stage.title) as report:
            told = outside.reporting(stage.title, titled(experiment, found), report)
            found[stage.name] = _run_stage(stage, settings, part, found, told, watch.say)
    outside.finished(titled(experiment, found))
    result = {
        "experiment": experiment.name,
        "scale": str(settings.scale),
        "stages": {name: findings.as_dict() for name, findings in found.items()},
    }
    folder.finish(result)
    return result


def _run_stage(
    stage: Stage,
    settings: ReproduceSettings,
    path: Path,
    before: Mapping[str, Findings],
    report: Report,
    say: Callable[[str], None],
) -> Findings:
    kept = RunFolder(path)
    if kept.is_complete:
        return Findings.from_dict(kept.result())
    path.mkdir(parents=True, exist_ok=True)
    context = Context(settings=settings, folder=path, before=dict(before), report=report, say=say)
    findings = stage.run(context)
    kept.finish(findings.as_dict())
    return findings


def titled(experiment: Experiment, found: Mapping[str, Findings]) -> list[tuple[str, str, Findings]]:
    """Return folder name, title and findings of each finished stage."""
    return [
        (f"{number:02d}-{stage.name}", stage.title, found[stage.name])
        for number, stage in enumerate(experiment.stages, start=1)
        if stage.name in found
    ]


def opened(path: Path, settings: Mapping[str, Any], job: str) -> RunFolder:
    """Open the folder of a job that a stage runs: a new one, or the one it left when it was interrupted."""
    if RunFolder(path).file(SETTINGS).exists():
        return RunFolder.reopen(path, settings)
    return RunFolder.create(path, settings, job)
