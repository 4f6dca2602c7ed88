"""What a person sees of a search: progress on stderr while it works, a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli._common import note_console, output_console, print_command
from nas.cli._lines import TimedLines
from searchspace.support.quantities import milliseconds

if TYPE_CHECKING:
    from rich.console import Console

    from nas.jobs.search.found import Progress
    from nas.jobs.search.page import SearchSummary
    from nas.jobs.search.scoring import Watch


@contextmanager
def run_progress(evaluations: int = 1) -> Iterator[Watch]:
    """Show a search as a bar with the best network so far, and each other step as a bar of its own, on stderr.

    Where that is no terminal, lines say when a step starts, and every so often how far it is and what is left.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from nas.jobs.search.scoring import Watch

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[best]}"),
    )
    console = note_console()
    if not console.is_terminal:
        yield _line_watch(console)
        return
    with Bars(*columns, console=console) as bars:
        searching = bars.add_task("Searching", total=evaluations, best="", visible=False, start=False)

        def progress(state: Progress) -> None:
            best = (
                ""
                if state.top1 is None or state.latency_ms is None
                else f"best {state.top1:.2f} % at {milliseconds(state.latency_ms)} ms"
            )
            bars.start_task(searching)
            bars.update(searching, completed=state.evaluations, best=best, visible=True)

        @contextmanager
        def stage(name: str) -> Iterator[Callable[[float, float], None]]:
            task = bars.add_task(name, total=1, best="")
            yield lambda done, out_of: bars.update(task, completed=done, total=out_of)
            bars.update(task, completed=bars.tasks[task].total)

        yield Watch(progress=progress, stage=stage)


def _line_watch(console: Console) -> Watch:
    """Return a watch that writes lines, for logs."""
    from nas.jobs.search.scoring import Watch

    def stage(name: str) -> AbstractContextManager[Callable[[float, float], None]]:
        console.print(name, markup=False)
        return nullcontext(TimedLines(console, name).update)

    searching: list[TimedLines] = []  # made when the search begins, which may be long after the command

    def progress(state: Progress) -> None:
        if not searching:
            searching.append(TimedLines(console, "Searching"))
        best = (
            ""
            if state.top1 is None or state.latency_ms is None
            else f"best {state.top1:.2f} % at {milliseconds(state.latency_ms)} ms"
        )
        searching[0].update(state.evaluations, state.total, best)

    return Watch(progress=progress, stage=stage)


def print_summary(summary: SearchSummary, place: Path) -> None:
    """Print the network found beside the reference networks, and where everything was written."""
    from rich.table import Table

    from nas.jobs.search.figure_sections import UNBOUND
    from nas.jobs.search.page import as_percent, finding_facts

    winner = summary.winner
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("network", no_wrap=True)
    for name in ("top-1", "found as fast", "latency", "90 % interval", "MAdds", "params"):
        table.add_column(name, justify="right", no_wrap=True)
    for network in (winner, *summary.references):
        table.add_row(
            network.name + ("*" if network.note else ""),
            f"{network.top1:.2f} %",
            "" if network is winner else as_percent(summary.found_within(network.prediction.latency_ms)),
            f"{milliseconds(network.prediction.latency_ms)} ms",
            f"{milliseconds(network.prediction.low_ms)} to {milliseconds(network.prediction.high_ms)} ms",
            f"{network.network.madds / 1e6:.0f} M",
            f"{network.network.params / 1e6:.2f} M",
            style="bold" if network is winner else None,
        )
    console = output_console()
    console.print(table)
    for network in summary.references:
        if network.note:
            console.print(f"* {network.name}: {network.note}", style="dim", markup=False)
    console.print()
    for limit in summary.figures.limits:
        taken = f"predicted {milliseconds(limit.value)} ms, at most {milliseconds(limit.high)} ms"
        device = limit.metric.device or summary.device
        console.print(f"Budget {limit.limit:g} ms on {device}, kept by the upper end: {taken}.", markup=False)
    if not summary.figures.binds:
        console.print(f"{UNBOUND[0].upper()}{UNBOUND[1:]}.", markup=False)
    if told := summary.bound.told(winner.top1):
        console.print(told, markup=False)
    console.print(f"Top-1 is {summary.accuracy}; latency is predicted for the phone.", markup=False)
    if summary.export_failed is not None:
        console.print(f"not exported: {summary.export_failed}", markup=False)
    if summary.export is not None:
        made = summary.export
        where = f"on this machine, on an image of {made.resolution} pixels"
        console.print(
            f"{made.file} ({made.precision}) took {milliseconds(made.host_latency_ms)} ms {where}.", markup=False
        )
        for remark in made.remarks:
            console.print(remark, markup=False)
    for name, fact in finding_facts(summary.findings).items() if summary.findings else ():
        console.print(f"{name}: {fact}", markup=False)
    console.print(f"\nWritten to {place}. Open {place / 'report.html'}, or go on with:", markup=False)
    head = () if winner.head is None else ("--head", winner.head.name, "--classes", winner.head.classes)
    print_command("nas", "latency", place, "mobilenet_v3_large", "--device", summary.device, *head)
