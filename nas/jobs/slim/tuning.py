"""What a worker does: load the data once, fine-tune a proposal, train a final network. No state but its arguments.

How networks run on the images is decided once for a run, with its seed (`searchspace.low_resolution`): at the
resolution whose cost counts, but for images smaller than 64 pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import Data, endless_batches, load_data, sample
from nas.jobs.slim.settings import ScoredBy, SlimSettings
from nas.training.evaluation import Accuracy, evaluate
from nas.training.execution import Execution, default_execution, reproducible, thread_limit
from nas.training.failures import check_loss
from nas.training.fine_tuning import fine_tune
from nas.training.loop import train
from nas.weights import Preparation
from netadapt.importance import State
from netadapt.iterations import Tuned
from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm
from searchspace.modules import Network, build_network, empty_network
from searchspace.supernet import recalibrate

TAYLOR_BATCHES = 4
CALIBRATION_IMAGES = 128
MOMENTUM, WEIGHT_DECAY = 0.9, 4e-5


@dataclass(frozen=True)
class Teacher:
    """The network whose outputs a distilled one learns."""

    architecture: Architecture
    state: State


@dataclass(frozen=True)
class Tuner:
    """Fine-tunes proposals; sent to workers, which load the data themselves. A `netadapt.iterations.Tune`."""

    settings: SlimSettings
    form: RunForm
    preparation: Preparation | None = None
    teacher: Teacher | None = None

    def __call__(self, architecture: Architecture, state: State, seed: int) -> Tuned:
        """Fine-tune for T steps and judge on the search split."""
        network = self.tuned(architecture, state, self.settings.tune_steps, seed)
        return self.judged(network)

    def data(self) -> Data:
        """Return the data set, loaded once in each process."""
        settings = self.settings
        return load_once(settings.data, self.form.image_size, settings.seed, settings.subset, self.preparation)

    @property
    def execution(self) -> Execution:
        """How this run computes, wherever its workers are: nothing here depends on the machine."""
        return execution_of(self.settings)

    def network(self, architecture: Architecture, state: State) -> Network:
        """Return the network as it runs on the images, with the given weights."""
        network = empty_network(self.form.of(architecture))
        network.load_state_dict(state)
        self.execution.prepare(network)
        return network

    def tuned(self, architecture: Architecture, state: State, steps: int, seed: int) -> Network:
        """Return the network after a short fine-tuning at a constant learning rate, its batch norm measured anew.

        Statistics of the wider network are the largest part of what pruning spoils; measuring costs one forward pass.
        """
        settings, data = self.settings, self.data()
        network, rate = self.network(architecture, state), settings.learning_rate
        with thread_limit(settings.threads):
            if self.teacher is not None:
                self.recalibrate(network)
                distil(network, self.teaching(), data, steps, rate, settings.batch_size, seed, self.execution)
            elif steps:
                size = settings.batch_size
                fine_tune(network, data, steps, rate, seed, batch_size=size, execution=self.execution)
            if self.teacher is None:
                self.recalibrate(network)
        return network

    def recalibrate(self, network: Network) -> None:
        """Measure the statistics of batch norm on training images, in place."""
        images = sample(self.data().train, CALIBRATION_IMAGES, self.settings.seed).images
        recalibrate(network, [self.execution.place(images)])

    def teaching(self) -> Network:
        """Return the teacher, ready to be asked."""
        assert self.teacher is not None
        return self.network(self.teacher.architecture, self.teacher.state)

    def judged(self, network: Network) -> Tuned:
        """Return the network's accuracy and score on the search split."""
        with thread_limit(self.settings.threads):
            found = evaluate(network, self.data().search.batches(self.execution.evaluation_batch))
        score = found.top1 if self.settings.score is ScoredBy.TOP1 else -found.loss
        return Tuned(found.top1, score, state_of(network))

    def gradients(self, architecture: Architecture, state: State) -> State:
        """Return the gradients of the loss over a few training batches, by parameter name."""
        network, settings, execution = self.network(architecture, state), self.settings, self.execution
        batches = endless_batches(self.data().train, settings.batch_size, seed=settings.seed)
        with reproducible(settings.seed), thread_limit(settings.threads):
            network.eval()  # batch norm as the network will be used: its scale and shift are what is judged
            for _, (images, labels) in zip(range(TAYLOR_BATCHES), batches, strict=False):
                functional.cross_entropy(network(execution.place(images)), labels.to(execution.device)).backward()
        parameters = network.named_parameters()
        return {name: one.grad.cpu() for name, one in parameters if one.grad is not None}


@dataclass(frozen=True)
class Final:
    """One final training: of which network, from which weights (None: from scratch), how long, which repetition.

    `catch_up` steps of short fine-tuning come first, for baselines that skipped the steps that led to the result.
    """

    method: str
    architecture: Architecture
    state: State | None
    epochs: int
    seed: int
    catch_up: int = 0

    @property
    def kind(self) -> str:
        """What was done: fine-tuned, or trained from scratch."""
        return "from scratch" if self.state is None else "fine-tuned"

    @property
    def name(self) -> str:
        """What people call the task."""
        return f"netadapt final: {self.method} {self.kind}, seed {self.seed}"


@dataclass(frozen=True)
class FinalOutcome:
    """Accuracy of a finished network on the search and the test split, and its weights."""

    search: Accuracy
    test: Accuracy
    state: dict[str, Tensor]


def train_final(tuner: Tuner, task: Final) -> FinalOutcome:
    """Train one network to its end and test it once; runs on a worker."""
    settings, data = tuner.settings, tuner.data()
    seed = settings.seed + task.seed
    if task.state is None:
        network = build_network(tuner.form.of(task.architecture), seed=seed)
        recipe = settings.chosen_recipe(max(task.epochs, 1))
    else:
        as_it_is = not (task.epochs or task.catch_up)
        network = (
            tuner.network(task.architecture, task.state)
            if as_it_is
            else tuner.tuned(task.architecture, task.state, task.catch_up, seed)
        )
        recipe = settings.fine_tuning_recipe()
    with thread_limit(settings.threads):
        if tuner.teacher is not None and task.state is not None:
            steps = task.epochs * data.train.steps_per_epoch(settings.batch_size)
            rate, size = settings.fine_tune_rate, settings.batch_size
            distil(network, tuner.teaching(), data, steps, rate, size, seed, tuner.execution, cosine=True)
        elif task.epochs:
            train(network, data, recipe, seed=seed, execution=tuner.execution)
        batch = tuner.execution.evaluation_batch
        search = evaluate(network, data.search.batches(batch))
        test = evaluate(network, data.test_split().batches(batch))
    return FinalOutcome(search, test, state_of(network))


def distil(
    network: nn.Module,
    teacher: nn.Module,
    data: Data,
    steps: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    execution: Execution,
    *,
    cosine: bool = False,
) -> None:
    """Train a network in place towards a teacher's outputs (Hinton et al. 2015, temperature 1), by SGD.

    With few images of few classes labels would teach it to forget all others; the teacher's outputs keep them. Batch
    norm keeps its statistics: batches this small would spoil them.
    """
    with reproducible(seed):
        execution.prepare(network).eval()
        execution.prepare(teacher).eval()
        optimizer = torch.optim.SGD(network.parameters(), learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY)
        batches = endless_batches(data.train, min(batch_size, len(data.train)), seed=seed)
        for step, (images, _) in zip(range(steps), batches, strict=False):
            share = (1 + math.cos(math.pi * step / steps)) / 2 if cosine else 1.0
            optimizer.param_groups[0]["lr"] = learning_rate * share
            placed = execution.place(images)
            with torch.no_grad():
                wanted = teacher(placed).softmax(1)
            loss = functional.cross_entropy(network(placed), wanted)
            check_loss(loss.detach(), learning_rate, f"step {step + 1} of distillation")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's tensors by name, on the CPU, in plain memory order."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}


def execution_of(settings: SlimSettings) -> Execution:
    """Return how a run computes; `torch_device` is that of the settings, or the default of the machine asked."""
    return replace(default_execution(settings.torch_device), bf16=settings.bf16)


@lru_cache(maxsize=1)
def load_once(spec: str, image_size: int, seed: int, subset: int | None, preparation: Preparation | None) -> Data:
    """Load a data set, the last one asked for only once in each process."""
    return load_data(spec, image_size, seed, subset, preparation=preparation)
