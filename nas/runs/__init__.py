"""Run folders and journals: what a run leaves on disk, and how it goes on after an interruption."""

from nas.runs.folder import RunFolder, run_path, versions

__all__ = ["RunFolder", "run_path", "versions"]
