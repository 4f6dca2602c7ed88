"""NetAdapt with data and training: settings, tuning on workers, the run with its baselines, its folder.

`prepare(settings, ...)` checks everything before anything is trained; `run_job(job, ...)` slims, trains the baselines
and writes the run folder.
"""

from nas.jobs.slim.settings import SlimSettings, parse_target

__all__ = ["SlimSettings", "parse_target"]
