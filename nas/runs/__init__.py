"""Run folders: what a run leaves on disk, who works on it, and how it goes on after an interruption."""

from nas.runs.folder import RunFolder
from nas.runs.lock import holder_of
from nas.runs.place import RunPlace, run_place
from nas.runs.versions import versions

__all__ = ["RunFolder", "RunPlace", "holder_of", "run_place", "versions"]
