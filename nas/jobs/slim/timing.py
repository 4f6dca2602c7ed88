"""Exporting a slimmed network and timing it beside the initial network here: predicted against measured saving."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from latency_lut.devices import HOST, device_names, load_device
from latency_lut.predict import predict
from nas.data import Data, sample
from nas.export import AccuracyCheck, Calibration, ExportRecord, Usage, calibration_from, export_network, export_trained
from nas.jobs.slim.run import SlimOutcome
from nas.jobs.slim.settings import ResourceName
from nas.jobs.slim.tuning import Tuner
from searchspace.architecture import Architecture
from searchspace.modules import Network, empty_network
from searchspace.support.errors import UserError

MODEL = "model.tflite"
CHECKED_IMAGES = 256


@dataclass(frozen=True)
class HostTiming:
    """Initial network and result timed on this machine as they were evaluated, in milliseconds.

    `predicted_saving_pct` is that of a device's table for the same two networks; `check` compares the file with
    PyTorch on test images.
    """

    seed_ms: float
    result: ExportRecord
    check: AccuracyCheck
    predicted_by: str
    predicted_saving_pct: float

    @property
    def measured_saving_pct(self) -> float:
        """How much faster the result was here."""
        return 100 * (1 - self.result.host_latency_ms / self.seed_ms)


def export_and_time(outcome: SlimOutcome) -> HostTiming | str:
    """Export the result as it was evaluated, and time both networks here; return why not where that cannot be."""
    job = outcome.job
    initial, result = (job.initial.form.of(one) for one in (job.initial.architecture, outcome.result.architecture))
    data = Tuner(job.settings, job.initial.form, job.initial.preparation).data()
    images, labels = sample(data.test_split(), CHECKED_IMAGES, job.settings.seed)
    precision, calibration = _calibration(outcome, data, result.resolution)
    path = job.folder.file(MODEL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            before, place = filled_network(initial, outcome.initial_state), Path(folder) / MODEL
            first = export_network(before, place, trained=True, precision=precision, calibration=calibration)
        network = filled_network(result, outcome.state)
        record, check = export_trained(
            network,
            path,
            images.numpy(),
            labels.numpy(),
            precision=precision,
            calibration=calibration,
            usage=usage_of(outcome),
            seed=job.settings.seed,
        )
    except UserError as error:
        return str(error)
    device = HOST if HOST in device_names() else job.settings.device
    table = load_device(device)
    now, then = (predict(table, one, allow_extrapolation=True).latency_ms for one in (result, initial))
    return HostTiming(first.host_latency_ms, record, check, device, 100 * (1 - now / then))


def _calibration(outcome: SlimOutcome, data: Data, resolution: int) -> tuple[str, Calibration | None]:
    """Return the precision of the table whose latency was brought down, and images for int8 at a resolution."""
    settings = outcome.job.settings
    by_latency = settings.resource is ResourceName.LATENCY
    precision = load_device(settings.device).provenance.precision.value if by_latency else "float32"
    return precision, calibration_from(data, resolution, settings.seed) if precision == "int8" else None


def usage_of(outcome: SlimOutcome) -> Usage:
    """Return how the result is used: as its data set's images are prepared, labels, predicted latency."""
    job, result = outcome.job, outcome.result.architecture
    data = Tuner(job.settings, job.initial.form, job.initial.preparation).data()
    usage = Usage.of_data(data, f"{job.initial.weights}; slimmed and tuned on {job.settings.data}")
    if job.settings.resource is not ResourceName.LATENCY:
        return usage
    table = load_device(job.settings.device)
    return usage.for_device(job.settings.device, table, predict(table, result, allow_extrapolation=True))


def filled_network(architecture: Architecture, state: Mapping[str, Tensor]) -> Network:
    """Return the network with these weights, for evaluation."""
    network = empty_network(architecture)
    network.load_state_dict(dict(state))
    return network.eval()
