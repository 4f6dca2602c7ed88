"""Training: update rules, schedules, seeds, checkpoints, failures, evaluation, several processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas.data import Batch, Data, load_data
from nas.training import RECIPES, Recipe, evaluate, fine_tune, recipe, train
from nas.training.averaging import AveragedNetwork
from nas.training.checkpoint import Checkpoints, read_checkpoint
from nas.training.execution import Execution
from nas.training.failures import explained_failures
from nas.training.history import EpochRecord, History
from nas.training.optimizers import TensorFlowRMSProp, parameter_groups
from nas.training.recipes import ScheduleKind
from nas.training.step import apply_recipe_to_layers
from searchspace import parse
from searchspace.modules import build_network
from searchspace.support.errors import UserError

TINY = "r8,stem_k3_s1_c8_hs,ir_k3_s2_h16_c8_re_se8,sg_k3_s1_h8_c8_r6,head_c16_hs,n10"


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data("digits", subset=400)


def tiny_network(seed: int = 0) -> nn.Module:
    return build_network(parse(TINY), seed=seed)


def quick_recipe(**changes: object) -> Recipe:
    return replace(recipe("short", 2), batch_size=64, **changes)


def losses(history: History) -> list[tuple[float, float]]:
    return [(record.train_loss, record.search.loss) for record in history.epochs]


class Recorder:
    """Counts steps and stops the run, as a person would, after `stop_after` of them."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps, self.stop_after = 0, stop_after
        self.records: list[EpochRecord] = []

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        self.steps += 1
        if self.steps == self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch_done(self, record: EpochRecord) -> None:
        self.records.append(record)


# --- recipes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_learning_rate_warms_up_and_never_rises_again(name: str) -> None:
    chosen = recipe(name)
    rates = [chosen.learning_rate_at(epoch) for epoch in np.linspace(0, chosen.epochs, 500)]
    peak = int(np.argmax(rates))
    assert rates[0] == 0 or chosen.warmup_epochs == 0
    assert max(rates) <= chosen.learning_rate
    assert all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))


def test_cosine_ends_at_its_final_rate_and_exponential_falls_by_its_factor() -> None:
    cosine, exponential = recipe("mobilenext", 200), recipe("mobilenetv3", 600)
    assert cosine.learning_rate_at(200) == pytest.approx(1e-5)
    assert exponential.schedule is ScheduleKind.EXPONENTIAL
    assert exponential.learning_rate_at(303) / exponential.learning_rate_at(300) == pytest.approx(0.99)


@given(st.integers(1, 8192))
def test_learning_rate_follows_the_batch_size(batch_size: int) -> None:
    scaled = recipe("mobilenetv3").with_batch_size(batch_size)
    assert scaled.learning_rate / batch_size == pytest.approx(0.16 / 1536)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"clip_norm": -1.0}, "clip_norm"),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(recipe("short"), **changes)


def test_an_unknown_recipe_and_no_epochs_are_refused() -> None:
    with pytest.raises(UserError, match="mobilenetv3, mobilenext, short, fine-tune, dense"):
        recipe("adam")
    with pytest.raises(UserError, match="at least 1"):
        recipe("short", 0)


# --- update rules ---------------------------------------------------------------------------------------------------


def test_rmsprop_follows_tensorflows_formula() -> None:
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=(4, 3)), rng.normal(size=(6, 4, 3))
    parameter = nn.Parameter(torch.tensor(weights))
    optimizer = TensorFlowRMSProp([parameter], lr=0.1, decay=0.9, momentum=0.8, epsilon=0.01, weight_decay=0.02)
    mean_square, step = np.ones_like(weights), np.zeros_like(weights)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        total = gradient + 0.02 * weights
        mean_square = 0.9 * mean_square + 0.1 * total**2
        step = 0.8 * step + 0.1 * total / np.sqrt(mean_square + 0.01)
        weights = weights - step
    np.testing.assert_allclose(parameter.detach().numpy(), weights, rtol=1e-12)


def test_only_weights_are_decayed() -> None:
    network = tiny_network()
    decayed, free = parameter_groups(network, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))


def test_averaging_ramps_up_to_its_decay() -> None:
    network = nn.Linear(1, 1, bias=False)
    averaged = AveragedNetwork(network, decay=0.5)
    expected = None
    for update, value in enumerate([1.0, 2.0, 4.0, 8.0]):
        nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert averaged.module.weight.item() == pytest.approx(expected)


def test_short_runs_get_faster_batch_norm_statistics() -> None:
    network = tiny_network()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    apply_recipe_to_layers(network, recipe("mobilenetv3"), steps=600_000)
    assert {norm.momentum for norm in norms} == {0.003}
    apply_recipe_to_layers(network, recipe("mobilenetv3"), steps=100)
    assert {norm.momentum for norm in norms} == {0.3}
    apply_recipe_to_layers(network, recipe("mobilenetv3"), steps=40)
    assert {norm.momentum for norm in norms} == {0.5}


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_training_learns_and_one_seed_gives_one_result(data: Data, name: str) -> None:
    chosen = replace(recipe(name, 6).with_batch_size(32), clip_norm=5.0)
    histories = [train(tiny_network(), data, chosen, seed=3) for _ in range(2)]
    assert losses(histories[0]) == losses(histories[1])
    first, last = histories[0].epochs[0], histories[0].final
    assert last.train_loss < first.train_loss


def test_another_seed_gives_another_result(data: Data) -> None:
    histories = [train(tiny_network(), data, quick_recipe(), seed=seed) for seed in (0, 1)]
    assert losses(histories[0]) != losses(histories[1])


def test_training_leaves_the_global_generator_alone(data: Data) -> None:
    before = torch.get_rng_state()
    train(tiny_network(), data, quick_recipe(dropout=0.2), seed=0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("stop_after", [1, 4, 5, 7])
def test_a_run_interrupted_anywhere_resumes_to_the_same_numbers(tmp_path: Path, data: Data, stop_after: int) -> None:
    chosen = quick_recipe(dropout=0.1)
    unbroken = tiny_network()
    expected = train(unbroken, data, chosen, seed=5)
    path = tmp_path / "checkpoint.pt"
    broken = Recorder(stop_after)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        train(tiny_network(), data, chosen, seed=5, checkpoints=Checkpoints(path=path), observer=broken)
    assert broken.steps == stop_after
    resumed = tiny_network(seed=9)
    recorder = Recorder()
    history = train(resumed, data, chosen, seed=5, checkpoints=Checkpoints(path=path, resume=True), observer=recorder)
    assert losses(history) == losses(expected)
    assert [record.epoch for record in recorder.records] == [1, 2]
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path: Path, data: Data) -> None:
    path = tmp_path / "checkpoint.pt"
    train(tiny_network(), data, quick_recipe(), seed=5, checkpoints=Checkpoints(path=path))
    with pytest.raises(UserError, match="seed: was 5, now 6"):
        train(tiny_network(), data, quick_recipe(), seed=6, checkpoints=Checkpoints(path=path, resume=True))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, data: Data) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is no checkpoint"):
        train(tiny_network(), data, quick_recipe(), checkpoints=Checkpoints(path=path, resume=True))


def test_fine_tuning_changes_the_weights_the_same_way_for_the_same_seed(data: Data) -> None:
    first, second, start = tiny_network(), tiny_network(), tiny_network()
    assert fine_tune(first, data, 5, 0.05, seed=1) == fine_tune(second, data, 5, 0.05, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), start.parameters(), strict=True))


@pytest.mark.parametrize("changes", [{"bf16": True}, {"channels_last": False}])
def test_execution_options_train_too(data: Data, changes: dict[str, bool]) -> None:
    history = train(tiny_network(), data, quick_recipe(), execution=Execution(**changes))
    reference = train(tiny_network(), data, quick_recipe())
    assert history.final.train_loss == pytest.approx(reference.final.train_loss, abs=0.05)


# --- evaluation -----------------------------------------------------------------------------------------------------


class Answers(nn.Module):
    """Returns the batch as logits, so that the accuracy is known."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_accuracy_is_counted_over_all_batches() -> None:
    logits = torch.eye(6)[torch.tensor([0, 1, 2, 3])] * 10 - 1e-4 * torch.arange(6)
    batches = [Batch(logits[:3], torch.tensor([0, 1, 5])), Batch(logits[3:], torch.tensor([3]))]
    accuracy = evaluate(Answers(), batches)
    assert (accuracy.top1, accuracy.count) == (75.0, 4)
    assert accuracy.top5 == 75.0  # the sixth class comes last wherever it is not the answer
    expected = (3 * -math.log(math.exp(10) / (math.exp(10) + 5)) + math.log(math.exp(10) + 5)) / 4
    assert accuracy.loss == pytest.approx(expected, rel=1e-3)


def test_evaluation_puts_the_mode_back(data: Data) -> None:
    network = tiny_network().train()
    evaluate(network, data.search.batches(64))
    assert network.training


def test_too_few_outputs_and_no_images_are_refused(data: Data) -> None:
    small = build_network(parse(TINY).with_classes(3), seed=0)
    with pytest.raises(UserError, match="3 classes"):
        evaluate(small, data.search.batches(64))
    with pytest.raises(UserError, match="no image"):
        evaluate(small, [])


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_diverging_run_says_what_to_change(data: Data) -> None:
    with pytest.raises(UserError, match=r"no longer finite at epoch \d+, step \d+.*--learning-rate"):
        train(tiny_network(), data, quick_recipe(learning_rate=1e20, clip_norm=None, ema_decay=None))
    with pytest.raises(UserError, match="fine-tuning"):
        fine_tune(tiny_network(), data, 10, 1e20, seed=0)


def test_running_out_of_memory_says_what_to_make_smaller() -> None:
    message = r"512 images of 224 px.*--batch-size \(for example 256"
    with pytest.raises(UserError, match=message), explained_failures(512, 224):
        torch.empty(2**60)
    with pytest.raises(RuntimeError, match="something else"), explained_failures(512, 224):
        raise RuntimeError("something else")


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="sees no GPU"):
        Execution(device="cuda")


# --- several processes ----------------------------------------------------------------------------------------------

WORKER = """
import sys
from nas.data import load_data
from nas.training import recipe, train
from nas.training.distributed import process_group
from searchspace import parse
from searchspace.modules import build_network
from dataclasses import replace

with process_group() as shard:
    network = build_network(parse(sys.argv[1]), seed=0)
    history = train(network, load_data("digits", subset=400), replace(recipe("short", 2), batch_size=64), seed=0)
    total = sum(parameter.double().abs().sum().item() for parameter in network.parameters())
    sys.stdout.write(f"{shard.rank} {total:.12f} {history.final.train_loss:.12f}\\n")
    sys.stdout.flush()
"""


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), TINY]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    first, second = sorted(line.split() for line in done.stdout.splitlines() if line[:2] in ("0 ", "1 "))
    assert first[1:] == second[1:]


def test_a_checkpoint_on_disk_is_finite(tmp_path: Path) -> None:
    """A divergent run keeps the checkpoint from before, although the loss is looked at only every 20 steps."""
    path = tmp_path / "checkpoint.pt"
    chosen = replace(recipe("short", 3).with_batch_size(32), learning_rate=1e30, clip_norm=None, warmup_epochs=0.0)
    with pytest.raises(UserError, match="no longer finite"):
        train(
            build_network(parse("r8,stem_k3_s1_c8_hs,ir_k3_s2_h16_c16_re,head_c16_hs,n10"), seed=0),
            load_data("digits", subset=160),
            chosen,
            checkpoints=Checkpoints(path=path, every_seconds=0),
        )
    if path.exists():
        _, state = read_checkpoint(path)
        assert all(torch.isfinite(tensor).all() for tensor in state["network"].values())


def test_one_image_on_one_pixel_is_told_in_a_sentence() -> None:
    data = load_data("digits", image_size=1, subset=9)
    network = build_network(parse("r1,stem_k3_s2_c8_hs,ir_k3_s1_h16_c16_re,head_c16_hs,n10"), seed=0)
    with pytest.raises(UserError, match="larger --batch-size"):
        train(network, data, recipe("short", 1).with_batch_size(1))
    with pytest.raises(UserError, match="larger --batch-size"):
        fine_tune(network, data, 1, 0.1, 0, batch_size=1)
