"""What `nas netadapt` can be asked for, checked when made; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

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


class Score(StrEnum):
    """What proposals are compared by, on the search split: top-1, or the loss where it holds few images."""

    TOP1 = "top1"
    LOSS = "loss"


@dataclass(frozen=True, kw_only=True)
class SlimSettings:
    """Everything that decides what a run finds; the same settings give the same result on one machine.

    `target` is a cost with its unit ("51ms", "200M") or a share of the seed's ("75%"). `tune_steps` is T, the steps
    each proposal is fine-tuned for; `fine_tune_epochs` and `scratch_epochs` are the two final trainings, and
    `seed_epochs` trains a seed given without weights. `distill` fine-tunes towards the seed's outputs in place of
    the labels. `seeds` counts the repetitions of every final training. `image_size` replaces the network's own
    resolution, for its accuracy and its cost alike; below 64 px it stands in for it, and costs stay the network's own.
    `torch_device` (default: a GPU where there is one) and `bf16` are the same for every engine and worker.
    """

    network: str
    target: str
    data: str
    device: str = "pixel"
    resource: ResourceName = ResourceName.LATENCY
    form: Form = Form.MOBILENETV3
    reduction: float | None = None
    decay: float | None = None
    include: tuple[str, ...] = ()
    channel_step: int = 8
    smallest: int = 8
    criterion: str = "l2"
    score: Score = Score.TOP1
    tune_steps: int = 100
    batch_size: int = 64
    learning_rate: float = 0.01
    distill: bool = False
    recipe: str = "short"
    fine_tune_epochs: int = 5
    fine_tune_rate: float = 0.02
    scratch_epochs: int = 15
    seed_epochs: int = 15
    baselines: bool = True
    seeds: int = 1
    seed: int = 0
    image_size: int | None = None
    drop_strides: int | None = None
    subset: int | None = None
    weights: str | None = None
    extrapolate: bool = False
    threads: int = 1
    torch_device: str | None = None
    bf16: bool = False

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


def parse_target(text: str, resource: ResourceName, seed_value: float | None = None) -> float:
    """Return a target in milliseconds, multiply-adds or parameters; "75%" is a share of `seed_value`.

    Without `seed_value` a share is only checked. Raises UserError saying which units are expected.
    """
    units, example = PER_UNIT, "200M"
    if resource is ResourceName.LATENCY:
        units, example = MS_PER_UNIT, "51ms or 0.051s"
    expected = f"{resource} such as {example}, or a share of the seed's such as 75%"
    value = parse_amount(text, "target", {**units, "%": 0.01}, expected)
    share = text.strip().endswith("%")
    if value <= 0 or (share and value >= 1):
        raise UserError(f"the target {text!r} must be above 0 and below the seed's {resource}")
    return value * (seed_value if share and seed_value is not None else 1.0)
