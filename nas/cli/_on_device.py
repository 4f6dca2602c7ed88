"""What commands that time models share: opening the device, the progress bar, and stopping at any key."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from latency_lut.measure.backend import Backend, Task
from latency_lut.measure.rounds import OnProgress
from nas.cli._common import note_console
from nas.cli._lines import TimedLines
from searchspace.ops import Op
from searchspace.support.errors import UserError

ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads of the runtime, on as many cores.")]
CoresOption = Annotated[
    str | None, typer.Option("--cores", metavar="0,1", help="Cores to pin to; by default chosen by the device.")
]
AdbOption = Annotated[str, typer.Option("--adb", metavar="PATH", help="The adb program.")]
BenchmarkModelOption = Annotated[
    str | None,
    typer.Option(
        "--benchmark-model",
        metavar="PATH",
        help="TFLite's benchmark_model binary for the phone: a file here, or phone:PATH where it is there already.",
    ),
]


@contextlib.contextmanager
def opened_backend(
    device: str, threads: int, cores: str | None, adb: str = "adb", benchmark_model: str | None = None
) -> Iterator[Backend]:
    """Yield the backend of `host`, `adb[:SERIAL]` or `aihub:NAME[/UNIT]`; raises UserError for another or bad cores."""
    chosen = _cores(cores)
    name, _, serial = device.partition(":")
    if device == "host":
        from latency_lut.measure.host import Host

        with Host(threads, chosen) as host:
            yield host
    elif name == "adb":
        from latency_lut.measure.phone import open_phone

        with open_phone(serial or None, adb, benchmark_model, threads, chosen) as phone:
            yield phone
    elif name == "aihub":
        from latency_lut.measure.aihub import open_aihub

        with open_aihub(serial) as hub:
            yield hub
    else:
        raise UserError(f"cannot measure on {device!r}, expected host, adb, adb:SERIAL or aihub:NAME")


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[OnProgress]:
    """Show a bar with the time left on stderr; any key, like Ctrl-C, raises KeyboardInterrupt at the next step."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
    )
    console = note_console()
    if not console.is_terminal:
        lines = TimedLines(console, what)

        def tell(done: int, total: int, task: Task) -> None:
            lines.update(done, total, f"{done:,} of {total:,}")
            if _key_pressed():  # the output may go to a file while a person sits at the keyboard
                raise KeyboardInterrupt

        with _keys_seen_at_once():
            yield tell
        return
    with _keys_seen_at_once(), Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
        row = bar.add_task(what, total=None, now="any key stops")

        def show(done: int, total: int, task: Task) -> None:
            bar.update(row, completed=done, total=total, now=str(task) if isinstance(task, Op) else "whole network")
            if _key_pressed():
                raise KeyboardInterrupt

        yield show


def _cores(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--cores is {text!r}, expected core numbers with commas between, such as 4,5") from None


@contextlib.contextmanager
def _keys_seen_at_once() -> Iterator[None]:
    """Let single keys through without Enter while a person watches; Ctrl-C keeps working."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    saved = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _key_pressed() -> bool:
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return False
    sys.stdin.read(1)
    return True
