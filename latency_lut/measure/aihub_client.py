"""Qualcomm's `qai-hub` client behind a pipe: one JSON object a line in, one a line out.

The client asks for versions of protobuf and others that exclude this project's, so that it lives in a virtual
environment of its own and this file, which imports nothing of the project, runs there:

    {"do": "open", "device": NAME}                  -> {"client": VERSION, "os": ..., "attributes": [...]}
    {"do": "submit", "model": PATH, "name": ..., "options": ...} -> {"job": ID}
    {"do": "find", "name": NAME}                    -> {"job": ID}, or null where no recent job is called so
    {"do": "result", "job": ID} -> {"state": "running"}, {"state": "failed", "reason": ...} or
                                   {"state": "done", "times_us": [...], "layers": [[TYPE, UNIT], ...]}

A call that fails is answered by {"error": TEXT, "kind": NAME OF THE EXCEPTION}.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_RECENT = 100


class Worker:
    """Holds the client and the device between requests."""

    def __init__(self) -> None:
        self._client: Any = None
        self._device: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; raises what the client raises."""
        match request["do"]:
            case "open":
                return self._open(request["device"])
            case "submit":
                return self._submit(request)
            case "find":
                return {"job": self._found(request["name"])}
            case "result":
                return self._result(request["job"])
        raise ValueError(f"unknown request {request['do']!r}")

    def _open(self, name: str) -> dict[str, Any]:
        import qai_hub
        from qai_hub.client import Client

        self._client = Client()
        self._client.set_verbose(False)
        found = self._client.get_devices(name=name)
        if not found:
            near = sorted({device.name for device in self._client.get_devices()})
            raise LookupError(f"AI Hub has no device {name!r}; it has {', '.join(near)}")
        self._device = found[-1]  # the newest version of the operating system comes last
        attributes = list(self._device.attributes)
        return {"client": str(qai_hub.__version__), "os": str(self._device.os), "attributes": attributes}

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self._client.submit_inference_job(
            model=request["model"],
            device=self._device,
            name=request["name"],
            options=request["options"],
            profile=True,
        )
        return {"job": job.job_id}

    def _found(self, name: str) -> str | None:
        summaries = self._client.get_job_summaries(limit=_RECENT)
        return next((str(summary.job_id) for summary in summaries if summary.name == name), None)

    def _result(self, identifier: str) -> dict[str, Any]:
        job = self._client.get_job(identifier)
        status = job.get_status()
        if status.failure:
            return {"state": "failed", "reason": status.message or "no reason given"}
        if not status.success:
            return {"state": "running"}
        profile = job.download_profile()
        summary = profile["execution_summary"]
        times_us = list(summary.get("all_inference_times") or [summary["estimated_inference_time"]])
        layers = [[layer["type"], layer["compute_unit"]] for layer in profile["execution_detail"]]
        return {"state": "done", "times_us": times_us, "layers": layers}


def main() -> None:
    """Answer requests until the input ends; what the client prints goes to the error output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = {"error": str(error) or type(error).__name__, "kind": type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
