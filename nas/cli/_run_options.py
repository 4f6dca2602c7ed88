"""Where a run's folder is, how it is taken up again by its folder alone, and where its tasks are carried out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from nas.cli._options import Given
from nas.options import ENGINE, OUTPUT, Option, options_of, restored
from nas.runs import RunFolder
from searchspace.support.errors import UserError

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Where a run goes."""

    out: Annotated[str | None, Option("Folder of the run.", panel=OUTPUT, metavar="DIR", otherwise="runs/NAME")] = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(FolderOptions):
    """Where a run goes, and whether it goes on there."""

    resume: Annotated[bool, Option("Go on with an interrupted run.", panel=OUTPUT, frees=True)] = False


@dataclass(frozen=True, kw_only=True)
class NamedRunOptions(RunOptions):
    """Where a run goes, by folder or by name."""

    name: Annotated[str | None, Option("Write to runs/NAME.", panel=OUTPUT, metavar="NAME")] = None


@dataclass(frozen=True, kw_only=True)
class ResumedRun:
    """Names the run to go on with, where a command takes nothing else by position."""

    run: Annotated[
        str | None,
        Option("With --resume: the run to go on with, no other option needed.", metavar="[RUN]", argument=True),
    ] = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where tasks are carried out; none of it decides the result."""

    engine: Annotated[str, Option("in-process, pool (processes of this machine) or ray.", panel=ENGINE)] = "in-process"
    ray_address: Annotated[
        str | None, Option("Join a Ray cluster instead of starting one here.", panel=ENGINE, metavar="auto")
    ] = None
    gpus_per_task: Annotated[float, Option("Share of a GPU each Ray task takes.", panel=ENGINE)] = 0.0


@dataclass(frozen=True)
class StartedRun:
    """A run that is to go on by its own settings: its folder, the settings, and what it was asked for beside them."""

    path: str
    settings: Mapping[str, Any]
    about: Mapping[str, Any]

    def made(self, settings: type[Settings], **more: Any) -> Settings:
        """Return the settings it was started with, `more` in place of some; raises UserError where they are others."""
        return self._from(self.settings, settings, more)

    def beside(self, options: type[Settings], given: Given) -> Settings:
        """Return the options beside the settings: those given now, else those it was asked for, else the defaults."""
        now = given.make(options)
        said = {name: getattr(now, name) for name in options_of(options) if given.was_given(name)}
        return self._from(self.about, options, said)

    def _from(self, noted: Mapping[str, Any], settings: type[Settings], more: Mapping[str, Any]) -> Settings:
        try:
            values = {
                name: restored(noted[name], kind)
                for name, (kind, _, _) in options_of(settings).items()
                if name in noted and name not in more
            }
            return settings(**values, **more)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.path}/settings.yaml does not hold the settings of this job: {error}") from None


def run_to_resume(
    given: Given, job: str, *, named_by: str = "run", free: Collection[str] = (), whole: bool | None = None
) -> StartedRun | None:
    """Return the run that goes on by its own settings; None for a new run, or one whose settings are all given again.

    `named_by` is the field that names it, `free` are options that may differ from before; `whole` says whether what was
    given is a whole command, by default one that lacks no option without a default. Raises UserError for
    a run without --resume, for options beside it that decide a run, and for a folder that holds no run of this job.
    """
    run = given[named_by]
    if not given["resume"]:
        if named_by == "run" and run is not None:
            raise UserError(f"{run!r} was given without --resume: to go on with that run, nas {job} --resume {run}")
        return None
    if whole is None:
        whole = named_by != "run" and not given.missing
    if run is None or whole:
        return None
    others = given.written(but=(named_by, "resume", "json", *free))
    if others:
        raise UserError(f"{others}: a run goes on with its own settings; leave every other option out")
    settings, about = RunFolder(run).started_with()
    if about["job"] != job:
        raise UserError(f"{run} is no run of nas {job} but one of nas {about['job']}: resume it by that command")
    return StartedRun(run, settings, about)
