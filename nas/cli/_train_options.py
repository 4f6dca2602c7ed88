"""How a training is carried out and kept, beside the settings that decide what it learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from nas.cli._options import Given
from nas.cli._run_options import StartedRun
from nas.options import ENGINE, OUTPUT, TORCH_DEVICE, Option

if TYPE_CHECKING:
    from nas.training.execution import Execution


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where steps are carried out."""

    torch_device: Annotated[str | None, TORCH_DEVICE] = None


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions(DeviceOptions):
    """How steps are carried out; None is what pays on the machine at hand."""

    bf16: Annotated[
        bool | None,
        Option(
            "Compute in bfloat16.", panel=ENGINE, names="--bf16/--no-bf16", otherwise="on with a GPU, measured on a CPU"
        ),
    ] = None
    channels_last: Annotated[
        bool | None,
        Option("Memory layout.", panel=ENGINE, names="--channels-last/--no-channels-last", otherwise="channels-last"),
    ] = None
    compile: Annotated[
        bool | None,
        Option(
            "Compile the network with torch.compile.",
            panel=ENGINE,
            names="--compile/--no-compile",
            otherwise="no-compile",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SavingOptions:
    """What is kept of a training, and how often."""

    checkpoint_seconds: Annotated[float, Option("How often the state is saved.", panel=OUTPUT, metavar="SECONDS")] = (
        60.0
    )
    export: Annotated[
        bool, Option("Write model.tflite and check its accuracy.", panel=OUTPUT, names="--export/--no-export")
    ] = True


def execution_of(given: Given, run: StartedRun | None = None) -> Execution:
    """Return how the options say that steps are carried out, or how they were when a run was started."""
    from nas.training.execution import Execution, default_execution

    if run is not None:
        return Execution(**run.settings["execution"])
    chosen = given.make(ExecutionOptions)
    said = {name: getattr(chosen, name) for name in ("bf16", "channels_last", "compile")}
    said = {name: value for name, value in said.items() if value is not None}
    return replace(default_execution(chosen.torch_device), **said)


def network_slug(network: str) -> str:
    """Return what the folder of a run on a network is called."""
    return Path(network).stem if "," not in network else "network"
