"""The page of a slimming run: what changed, whether it was worth it, and what the figures rest on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from markupsafe import Markup

from nas.jobs.slim.drawings import channels_picture, path_picture
from nas.jobs.slim.run import INITIAL, NETADAPT, SlimOutcome
from nas.jobs.slim.settings import SlimSettings
from nas.jobs.slim.timing import HostTiming
from nas.jobs.slim.verdict import scores, verdict
from nas.report import sections
from nas.report.page import Figure, Section, render_page
from searchspace.architecture import Architecture

if TYPE_CHECKING:
    pass


def netadapt_page(outcome: SlimOutcome, timing: HostTiming | str | None, compare: Architecture | None) -> str:
    """Return the HTML text of the page; `timing` may be the reason why there is none."""
    job, settings = outcome.job, outcome.job.settings
    parts = [
        Section("What happened", _sentences(verdict(scores(outcome.finals))), _honesty(outcome)),
        Section("Accuracy", _accuracies(outcome), _resolution_note(outcome)),
        Section("Accuracy against cost", _path_drawing(outcome), _path_note(settings)),
        Section(
            "Channels before and after", sections.picture(lambda: channels_picture(outcome), "channels of every group")
        ),
        Section("Steps", _steps(outcome)),
    ]
    if compare is not None:
        note = "Hidden > output channels of each block, matched by its place."
        parts.insert(4, Section("Side by side", _side_by_side(outcome, compare), note))
    if timing is not None:
        parts.append(Section("Exported model", _exported(timing, settings.device)))
    parts.append(
        Section("Settings", sections.facts({**_settings_facts(settings), "initial weights": job.initial.weights}))
    )
    return render_page(
        title=f"{_title(settings.network)}, slimmed",
        subtitle=f"NetAdapt, {settings.form.value} form, on {settings.data}",
        figures=_figures(outcome),
        sections=parts,
        footer="Costs are predictions. The search split chose among proposals, the test split judged what came out.",
    )


def _title(network: str) -> str:
    return network if "," not in network else "A network"


def _figures(outcome: SlimOutcome) -> list[Figure]:
    job, result = outcome.job, outcome.result
    unit = job.pricer.resource.unit

    def cost(value: float) -> str:
        return f"{value:.1f} {unit}" if unit else f"{value / 1e6:.1f} M"

    saved = 100 * (1 - result.cost.value / job.initial_cost.value)
    own = {score.kind: score for score in scores(outcome.finals) if score.method == NETADAPT}
    initial = next(score for score in scores(outcome.finals) if score.method == INITIAL)
    return [
        Figure(
            job.pricer.resource.name,
            cost(result.cost.value),
            f"from {cost(job.initial_cost.value)}, {saved:.0f} % less",
        ),
        Figure("at most", cost(result.cost.upper), f"target {cost(job.target)}"),
        *(Figure(f"top-1, {kind}", str(score), f"initial {initial.mean:.2f} %") for kind, score in own.items()),
        Figure(
            "parameters",
            f"{result.architecture.params / 1e6:.2f} M",
            f"from {job.initial.architecture.params / 1e6:.2f} M",
        ),
        Figure(
            "multiply-adds",
            f"{result.architecture.madds / 1e6:.0f} M",
            f"from {job.initial.architecture.madds / 1e6:.0f} M",
        ),
    ]


def _sentences(lines: tuple[str, ...]) -> Markup:
    if not lines:
        return Markup("<p>No baselines were asked for, so nothing can be said about what the method is worth.</p>")
    return Markup("").join(Markup("<p>{}</p>").format(line) for line in lines)


def _honesty(outcome: SlimOutcome) -> str:
    settings = outcome.job.settings
    catch_up = len(outcome.steps) * settings.tune_steps
    return (
        f"Every method got the same fine-tuning: NetAdapt and random proposals {settings.tune_steps} steps after "
        f"each of their steps, uniform width and magnitude {catch_up} steps at once; then all the same final "
        f"training, {settings.fine_tune_epochs} epochs fine-tuned and {settings.scratch_epochs} from scratch. "
        "NetAdapt alone also spends fine-tuning on the proposals it rejects. The slimming ran once; repetitions are "
        "of final trainings "
        "(and, for random proposals, of the slimming too)."
    )


def _accuracies(outcome: SlimOutcome) -> Markup:
    found = scores(outcome.finals)
    costs = {one.method: (one.cost, one.architecture) for one in outcome.candidates}
    costs[INITIAL] = (outcome.job.initial_cost, outcome.job.initial.architecture)
    kinds = [kind for kind in ("fine-tuned", "from scratch") if any(score.kind == kind for score in found)]
    by_key = {(score.method, score.kind): score for score in found}
    unit = outcome.job.pricer.resource.unit
    rows = [
        (
            method,
            f"{cost.value:.2f} {unit}" if unit else f"{cost.value:,.0f}",
            f"{architecture.madds / 1e6:.1f} M",
            f"{architecture.params / 1e6:.2f} M",
            *(str(by_key.get((method, kind), "")) for kind in kinds),
        )
        for method, (cost, architecture) in costs.items()
    ]
    columns = ("method", outcome.job.pricer.resource.name, "MAdds", "params", *kinds)
    return sections.table(columns, rows, numbers=range(1, len(columns)), minor=(2, 3), chosen=0)


def _resolution_note(outcome: SlimOutcome) -> str:
    job = outcome.job
    accuracy, cost = job.initial.form.image_size, job.initial.architecture.resolution
    where = f"at {cost} px" if accuracy == cost else f"at {accuracy} px; costs are of the networks at {cost} px"
    note = f"Test split, opened once for each finished network. Accuracies {where}."
    return note if job.change is None else f"{note} On these images {job.change}."


def _path_note(settings: SlimSettings) -> str:
    judged = "top-1" if settings.score.value == "top1" else "loss (the split holds few images)"
    steps = f"Each point is one accepted step after {settings.tune_steps} steps of fine-tuning"
    return f"{steps}; proposals were compared by {judged}."


def _path_drawing(outcome: SlimOutcome) -> Markup:
    return sections.picture(lambda: path_picture(outcome), "accuracy against cost")


def _steps(outcome: SlimOutcome) -> Markup:
    rows = [
        (
            str(step.step),
            step.group,
            f"{step.before} > {step.after}",
            f"{step.cost_before:.2f}",
            f"{step.cost:.2f}",
            f"{step.accuracy_before:.2f} %",
            f"{step.accuracy:.2f} %",
            str(len(step.tried)),
        )
        for step in outcome.steps
    ]
    columns = ("step", "group", "channels", "cost before", "predicted cost", "top-1 before", "top-1 after", "proposals")
    return sections.table(columns, rows, numbers=(0, 2, 3, 4, 5, 6, 7), minor=(3, 5, 7))


def _side_by_side(outcome: SlimOutcome, other: Architecture) -> Markup:
    initial, found = outcome.job.initial.architecture, outcome.result.architecture
    rows: list[tuple[str, ...]] = [("stem", str(initial.stem.out), str(found.stem.out), str(other.stem.out))]
    for number in range(max(len(initial.blocks), len(other.blocks))):
        rows.append((f"block{number + 1}", *(_widths(one, number) for one in (initial, found, other))))
    rows.append(("head", *(f"{one.head.conv} > {one.head.hidden}" for one in (initial, found, other))))
    return sections.table(("layer", "initial", "found here", "published"), rows, numbers=(1, 2, 3))


def _widths(architecture: Architecture, number: int) -> str:
    if number >= len(architecture.blocks):
        return "none"
    block = architecture.blocks[number]
    hidden = getattr(block, "hidden", None)
    return f"{hidden} > {block.out}" if hidden is not None else str(block.out)


def _exported(timing: HostTiming | str, device: str) -> Markup:
    if isinstance(timing, str):
        return Markup("<p>Not exported: {}</p>").format(timing)
    record = timing.result
    return sections.facts(
        {
            "file": f"{record.file}, {record.size_bytes / 1e6:.1f} MB, {record.precision}, {record.weights} weights",
            "initial network on this machine": f"{timing.seed_ms:.2f} ms",
            "result on this machine": f"{record.host_latency_ms:.2f} ms, {record.host_threads} thread(s), tenth "
            f"percentile of {record.host_runs} runs",
            "measured saving": f"{timing.measured_saving_pct:.1f} %",
            f"saving predicted for {timing.predicted_by}": f"{timing.predicted_saving_pct:.1f} %",
            "this machine": f"{record.host}; {record.runtime}",
            "resolution": f"{record.resolution} px, as it was tested",
            "same answer as torch": f"on {timing.check.same_answer_pct:.1f} % of {timing.check.images} test images",
            "difference to torch": f"{record.output_error:.1e} of the outputs' range",
            **({"to know before use": " ".join(record.remarks)} if record.remarks else {}),
        }
    )


def _settings_facts(settings: SlimSettings) -> dict[str, str]:
    return {name.replace("_", " "): str(value) for name, value in asdict(settings).items() if value not in (None, ())}
