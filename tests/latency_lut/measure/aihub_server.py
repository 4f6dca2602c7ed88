"""A stand-in for Qualcomm AI Hub for tests: speaks its HTTP interface to the real `qai-hub` client, on 127.0.0.1.

Messages are the client's own protocol buffers (`public_api_pb2`, read from where the client is installed). A phone
takes for a model what `times_ms` says of the hash of its file. Faults can be switched on to see how they are told.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-for-tests"
PHONE = "Samsung Galaxy S24"


def messages(python: Path) -> ModuleType:
    """Return the module of the client's messages, without importing the client."""
    (path,) = python.parents[1].glob("lib/python3*/site-packages/qai_hub/public_api_pb2.py")
    spec = importlib.util.spec_from_file_location("aihub_messages", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Service:
    """What the service knows: models by number, jobs by number, and its faults, all off at first."""

    api: ModuleType
    times_ms: dict[str, float]
    models: dict[str, str] = field(default_factory=dict)  # hash by number
    jobs: dict[str, Any] = field(default_factory=dict)
    on_cpu: dict[str, str] = field(default_factory=dict)  # type of a layer beside the NPU, by hash
    waiting: bool = False  # jobs never end
    fails: set[str] = field(default_factory=set)  # hashes of models that do not run
    down: bool = False
    silent_at: int = 0  # which job's number is told late
    reached: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def hash_of(self, job: str) -> str:
        """Return the hash of a job's model."""
        return self.models[self.jobs[job].model.model_id]

    def detail(self, job: str) -> Any:
        """Return the profile of a job's model: eleven runs around its time."""
        name, api = self.hash_of(job), self.api
        time_us = 1000 * self.times_ms[name]
        layers = [api.LayerDetail(name="a", layer_type_name="CONV_2D", compute_unit=api.COMPUTE_UNIT_NPU)]
        if name in self.on_cpu:
            kind = self.on_cpu[name]
            layers.append(api.LayerDetail(name="b", layer_type_name=kind, compute_unit=api.COMPUTE_UNIT_CPU))
        runs = [round(time_us * (1 + 0.001 * step)) for step in range(11)]
        return api.ProfileDetail(
            major_version=1,
            minor_version=2,
            execution_time=round(time_us),
            all_execution_times=runs,
            layer_details=layers,
        )


class Handler(BaseHTTPRequestHandler):
    """One request of the client."""

    service: Service

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        api, parts = self.service.api, self._parts()
        match parts:
            case ["devices"]:
                wanted = parse_qs(urlsplit(self.path).query).get("name", [""])[0]
                attributes = ["framework:tflite", "chipset:qualcomm-snapdragon-8gen3"]
                phone = api.Device(name=PHONE, os="14", attributes=attributes)
                self._answer(api.DeviceList(devices=[phone] if wanted in ("", PHONE) else []))
            case ["models", number, "multipart_upload"]:
                url = f"http://127.0.0.1:{self.service.port}/upload/{number}"
                parts = api.FileMultipartUploadURL(urls=[url], upload_id="u", max_part_size=2**40)
                self._answer(api.FileUploadResponse(multipart_url=parts))
            case ["job_summaries"]:
                jobs = list(self.service.jobs.items())[::-1]
                summaries = [api.InferenceJobSummary(job_id=number, name=job.name) for number, job in jobs]
                found = [api.JobSummary(inference_job_summary=summary) for summary in summaries]
                self._answer(api.JobSummaryList(job_summaries=found))
            case ["jobs", number]:
                job = self.service.jobs[number]
                job.job_state = api.JOB_STATE_PROVISIONING_DEVICE if self.service.waiting else api.JOB_STATE_DONE
                if self.service.hash_of(number) in self.service.fails:
                    job.job_state, job.failure_reason = api.JOB_STATE_FAILED, "the model did not load"
                self._answer(api.Job(inference_job=job))
            case ["jobs", number, "result"]:
                result = api.InferenceJobResult(inference_job_id=number, detail=self.service.detail(number))
                self._answer(api.JobResult(inference_job_result=result))
            case _:
                self.send_error(404)

    def do_PUT(self) -> None:
        content = self._body()
        self.service.models[self.path.rpartition("/")[2]] = hashlib.sha256(content).hexdigest()[:24]
        self.send_response(200)
        self.send_header("ETag", "e")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        api, body = self.service.api, self._body()
        match self._parts():
            case ["models"]:
                number = f"m{len(self.service.models)}"
                self.service.models[number] = ""
                self._answer(api.CreateUpdateResponse(id=number))
            case ["models", number, "multipart_upload"]:
                self._answer(api.CreateUpdateResponse(id=number))
            case ["jobs"]:
                job = api.Job.FromString(body).inference_job
                assert job.is_profiling_on and job.options == "--compute_unit npu" and job.device.name == PHONE
                job.inference_job_id = f"j{len(self.service.jobs)}"
                self.service.jobs[job.inference_job_id] = job
                if len(self.service.jobs) == self.service.silent_at:
                    self.service.reached.set()
                    time.sleep(2)  # the job is there, its number is not yet told
                self._answer(api.CreateUpdateResponse(id=job.inference_job_id))
            case _:
                self.send_error(404)

    def _parts(self) -> list[str]:
        if self.service.down:
            self.send_error(400, "the service is being mended")
            return []
        if self.headers.get("Authorization") != f"token {TOKEN}":
            self.send_error(403, "wrong token")
            return []
        return urlsplit(self.path).path.removeprefix("/api/v1/").strip("/").split("/")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, message: Any) -> None:
        content = message.SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(service: Service) -> ThreadingHTTPServer:
    """Start the service on a free port of 127.0.0.1."""
    handler = type("Bound", (Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
