"""Choosing an engine by name."""

from __future__ import annotations

from collections.abc import Callable

from nas.engines._base import Engine
from nas.engines._in_process import InProcessEngine
from nas.engines._ray_cluster import in_ray_job
from searchspace.support.errors import UserError

ENGINE_NAMES = ("in-process", "pool", "ray", "nni")


def open_engine(
    name: str,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus_per_task: int = 1,
    gpus_per_task: float = 0.0,
    notice: Callable[[str], None] = lambda message: None,
) -> Engine:
    """Return the engine called `name`, its workers started or its cluster joined.

    `address` joins a running Ray cluster ("auto", "host:6379"); without it Ray starts on this machine. `workers` is how
    many processes a pool has. `notice` is told of dashboards and dead workers, one sentence each. Raises UserError for
    an unknown name, for Ray options without Ray, and where Ray or NNI is not installed or no cluster answers.
    """
    if name not in ENGINE_NAMES:
        raise UserError(f"unknown engine {name!r}: choose {', '.join(ENGINE_NAMES[:-1])} or {ENGINE_NAMES[-1]}")
    if name != "ray" and address is not None:
        raise UserError(f"--ray-address {address} needs --engine ray")
    if name != "ray" and gpus_per_task:
        raise UserError(f"--gpus-per-task {gpus_per_task:g} needs --engine ray")
    if name == "in-process":
        return InProcessEngine(notice)
    if name == "pool":
        from nas.engines._pool import PoolEngine

        return PoolEngine(workers, notice)
    if name == "nni":
        from nas.engines._nni import NniEngine

        return NniEngine(notice)
    from nas.engines._ray import RayEngine

    return RayEngine(address, cpus_per_task=cpus_per_task, gpus_per_task=gpus_per_task, notice=notice)


def watching_engine() -> Engine:
    """Return what shows the figures of a job that computes in this process: Ray's metrics within `ray job submit`."""
    return open_engine("ray" if in_ray_job() else "in-process")
