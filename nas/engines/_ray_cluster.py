"""Starting Ray on this machine or joining a cluster, and what is said when neither works."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import


def import_ray() -> Any:
    """Return the package; raises UserError that names the extra."""
    return optional_import("ray", purpose="--engine ray", extra="ray")


def connect(ray: Any, address: str | None, notice: Callable[[str], None]) -> None:
    """Start Ray here, or join the cluster at `address`, and say where its dashboard is.

    Raises UserError when no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    joined = address or ("auto" if in_ray_job() else None)
    try:
        # "local" keeps RAY_ADDRESS in the environment from sending work elsewhere unasked.
        context = ray.init(address=joined or "local", log_to_driver=False, logging_level=logging.ERROR, namespace="nas")
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"no Ray cluster at {address!r}" if address else "Ray did not start on this machine"
        raise UserError(f"{where}: {error}. Start one with `ray start --head`, or use --engine in-process") from None
    if context.dashboard_url:
        token = " (log in with the token that `ray get-auth-token` prints)" if _asks_for_token() else ""
        notice(f"Ray dashboard: http://{context.dashboard_url}{token}")


def require(ray: Any, **needed: float) -> None:
    """Raise UserError for a task that no node could ever hold: Ray would wait for such a node for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= amount for name, amount in needed.items()) for node in nodes):
        wanted = ", ".join(f"{amount:g} {name}" for name, amount in needed.items() if amount)
        raise UserError(f"one task needs {wanted}, and no Ray node has that: ask for less per task")


def in_ray_job() -> bool:
    """Return whether `ray job submit` started this process: its cluster is then the one that was meant."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def _asks_for_token() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "token") == "token"
