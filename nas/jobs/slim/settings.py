"""What `nas netadapt` can be asked for, checked when made; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from nas.options import (
    BUDGET,
    DATA,
    DEVICE,
    DROP_STRIDES,
    ENGINE,
    IMAGES,
    NETWORK,
    SEED,
    STRATEGY,
    SUBSET,
    TORCH_DEVICE,
    TRAINING,
    Option,
)
from nas.training.recipes import Recipe, recipe
from netadapt.groups import Part
from netadapt.proposals import Widths
from netadapt.schedule import Form, Schedule, published_schedule, published_widths
from searchspace.support.errors import UserError
from searchspace.support.quantities import MS_PER_UNIT, PER_UNIT, parse_amount

CRITERIA = ("l1", "l2", "bn", "taylor")


class ResourceName(StrEnum):
    """What is to be saved."""

    LATENCY = "latency"
    MADDS = "madds"
    PARAMS = "params"


class ScoredBy(StrEnum):
    """What proposals are compared by, on the search split: top-1, or the loss where it holds few images."""

    TOP1 = "top1"
    LOSS = "loss"


@dataclass(frozen=True, kw_only=True)
class SlimSettings:
    """Everything that decides what a run finds; the same settings give the same result on one machine.

    Below 64 px `image_size` only stands in for the network's resolution, and costs stay the network's own.
    `torch_device` and `bf16` are the same for every engine and worker.
    """

    network: Annotated[str, NETWORK]
    target: Annotated[
        str,
        Option(
            "A cost with its unit (51ms, 200M), or a share of the initial network's (75%).",
            panel=BUDGET,
            metavar="51ms",
        ),
    ]
    data: Annotated[str, IMAGES]
    device: Annotated[str, DEVICE] = "pixel"
    resource: Annotated[ResourceName, Option("What is to be saved.", panel=BUDGET)] = ResourceName.LATENCY
    extrapolate: Annotated[bool, Option("Price operations outside the table too.", panel=BUDGET)] = False
    form: Annotated[Form, Option("NetAdapt as in mobilenetv3, or the original.", panel=STRATEGY, metavar="FORM")] = (
        Form.MOBILENETV3
    )
    reduction: Annotated[
        float | None,
        Option(
            "Part of the initial network's cost each step saves.",
            panel=STRATEGY,
            metavar="SHARE",
            otherwise="the paper's",
        ),
    ] = None
    decay: Annotated[
        float | None,
        Option("Factor on the reduction after each step.", panel=STRATEGY, metavar="FACTOR", otherwise="the paper's"),
    ] = None
    include: Annotated[
        tuple[str, ...],
        Option(
            "Also shrink: stem, head, last-stage. Repeatable; the original form includes all.",
            panel=STRATEGY,
            metavar="PART",
        ),
    ] = ()
    channel_step: Annotated[int, Option("Widths are multiples of this.", panel=STRATEGY, metavar="N", least=1)] = 8
    smallest: Annotated[int, Option("Smallest width of any layer.", panel=STRATEGY, metavar="N", least=1)] = 8
    criterion: Annotated[str, Option("Which channels stay: l1, l2, bn or taylor.", panel=STRATEGY, metavar="NAME")] = (
        "l2"
    )
    score: Annotated[ScoredBy, Option("Compare proposals by top-1 or, for few images, by loss.", panel=STRATEGY)] = (
        ScoredBy.TOP1
    )
    baselines: Annotated[
        bool, Option("Compare with simpler methods.", panel=STRATEGY, names="--baselines/--no-baselines")
    ] = True
    tune_steps: Annotated[int, Option("Fine-tuning steps of each proposal.", panel=TRAINING, metavar="STEPS")] = 100
    batch_size: Annotated[int, Option("Images per step.", panel=TRAINING, metavar="IMAGES")] = 64
    learning_rate: Annotated[float, Option("Of the short fine-tuning.", panel=TRAINING, metavar="RATE")] = 0.01
    distill: Annotated[
        bool, Option("Fine-tune towards the initial network's outputs, not the labels.", panel=TRAINING)
    ] = False
    recipe: Annotated[str, Option("From scratch: short, mobilenetv3, mobilenext.", panel=TRAINING, metavar="NAME")] = (
        "short"
    )
    fine_tune_epochs: Annotated[int, Option("Of the long fine-tuning; 0: none.", panel=TRAINING, metavar="EPOCHS")] = 5
    fine_tune_rate: Annotated[float, Option("Peak rate of the long fine-tuning.", panel=TRAINING, metavar="RATE")] = (
        0.02
    )
    scratch_epochs: Annotated[
        int, Option("Of the training from scratch; 0: none.", panel=TRAINING, metavar="EPOCHS")
    ] = 15
    seed_epochs: Annotated[int, Option("To train a seed that has no weights.", panel=TRAINING, metavar="EPOCHS")] = 15
    seeds: Annotated[int, Option("Repetitions of every final training.", panel=TRAINING, metavar="N")] = 1
    seed: Annotated[int, SEED] = 0
    image_size: Annotated[
        int | None,
        Option("Pixels a side, for accuracy and cost.", panel=DATA, metavar="PX", otherwise="the network's own"),
    ] = None
    drop_strides: Annotated[int | None, DROP_STRIDES] = None
    subset: Annotated[int | None, SUBSET] = None
    weights: Annotated[
        str | None,
        Option("The seed's weights: safetensors, or MobileNetV2's npz.", panel=DATA, metavar="FILE"),
    ] = None
    threads: Annotated[int, Option("CPU threads of one task.", panel=ENGINE, metavar="N")] = 1
    torch_device: Annotated[str | None, TORCH_DEVICE] = None
    bf16: Annotated[bool, Option("Compute in bfloat16, on every worker.", panel=ENGINE, names="--bf16/--no-bf16")] = (
        False
    )

    def __post_init__(self) -> None:
        for name, least in (("tune_steps", 0), ("batch_size", 2), ("fine_tune_epochs", 0), ("scratch_epochs", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} is {getattr(self, name)}, expected at least {least}")
        for name in ("seeds", "seed_epochs", "threads"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} is {getattr(self, name)}, expected at least 1")
        if self.criterion not in CRITERIA:
            raise UserError(f"unknown criterion {self.criterion!r}: choose one of {', '.join(CRITERIA)}")
        if not (self.fine_tune_epochs or self.scratch_epochs):
            raise UserError("no final training is left: give --fine-tune-epochs or --scratch-epochs")
        parse_target(self.target, self.resource)
        self.widths()
        self.schedule()
        self.chosen_recipe(1)

    def schedule(self) -> Schedule:
        """Return the reduction schedule: the paper's, with what was given replaced."""
        published = published_schedule(self.form)
        return replace(
            published,
            reduction=published.reduction if self.reduction is None else self.reduction,
            decay=published.decay if self.decay is None else self.decay,
        )

    def widths(self) -> Widths:
        """Return which widths may shrink: the paper's, and the parts included on top."""
        unknown = sorted(set(self.include) - set(Part))
        if unknown:
            raise UserError(f"unknown part {unknown[0]!r} to include: choose from {', '.join(Part)}")
        parts = published_widths(self.form).parts | {Part(name) for name in self.include}
        return Widths(parts=parts, step=self.channel_step, smallest=self.smallest)

    def chosen_recipe(self, epochs: int) -> Recipe:
        """Return the recipe of a training from scratch at the run's batch size."""
        return recipe(self.recipe, epochs).with_batch_size(self.batch_size)

    def fine_tuning_recipe(self) -> Recipe:
        """Return the recipe of the long fine-tuning: as from scratch, but from a low peak rate."""
        return replace(self.chosen_recipe(max(self.fine_tune_epochs, 1)), learning_rate=self.fine_tune_rate)


def parse_target(text: str, resource: ResourceName, initial_value: float | None = None) -> float:
    """Return a target in milliseconds, multiply-adds or parameters; "75%" is a share of `initial_value`.

    Without `initial_value` a share is only checked. Raises UserError saying which units are expected.
    """
    units, example = PER_UNIT, "200M"
    if resource is ResourceName.LATENCY:
        units, example = MS_PER_UNIT, "51ms or 0.051s"
    expected = f"{resource} such as {example}, or a share of the initial network's such as 75%"
    value = parse_amount(text, "target", {**units, "%": 0.01}, expected)
    share = text.strip().endswith("%")
    if value <= 0 or (share and value >= 1):
        raise UserError(f"the target {text!r} must be above 0 and below the initial network's {resource}")
    return value * (initial_value if share and initial_value is not None else 1.0)
