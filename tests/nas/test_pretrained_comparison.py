"""The comparison from a pretrained network: its rivals keep the latency, and it starts from weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latency_lut.devices import load_device
from nas.data import load_data
from nas.jobs.reproduce.experiments import experiment
from nas.jobs.reproduce.pretrained.methods import METHODS, by_magnitude, by_uniform_width, from_scratch
from nas.jobs.reproduce.pretrained.problem import BATCH, DEVICE, SIZES, Problem, Size, weights_file
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from searchspace.modules import build_network
from searchspace.support.errors import UserError
from searchspace.text import parse


@pytest.fixture(scope="module")
def problem() -> Problem:
    blocks = "ir_k3_s2_h96_c24_r6,ir_k3_s1_h144_c24_r6,ir_k3_s2_h144_c40_r6,ir_k3_s1_h240_c40_r6"
    architecture = parse(f"r64,stem_k3_s2_c16_r6,{blocks},head_c128_r6,n10")
    return Problem(
        size=SIZES[Scale.QUICK],
        data=load_data("digits", 64, 0, 100),
        network=build_network(architecture, seed=0).eval(),
        table=load_device(DEVICE),
        seed=0,
    )


@pytest.mark.parametrize("share", [0.75, 0.5])
def test_one_shot_rivals_keep_the_latency_by_its_upper_end(problem: Problem, share: float, tmp_path: Path) -> None:
    limit_ms = problem.limit_ms(share)
    pricer = problem.pricer()
    found = [method(problem, limit_ms, tmp_path) for method in (by_uniform_width, by_magnitude, from_scratch)]
    uppers = [pricer.price(made.network.architecture).upper for made in found]
    assert all(0.6 * limit_ms < upper <= limit_ms for upper in uppers)
    assert found[0].network.architecture == found[2].network.architecture != found[1].network.architecture
    assert [made.spent for made in found] == [0, 0, 0]


TINY_SIZE = Size(
    images=100, seed_epochs=1, passes=192, seeds={0.5: 1}, calibrated=16, judged=16, evaluations=12, reduction=0.25
)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_latency_and_counts_what_it_trained(problem: Problem, name: str, tmp_path: Path) -> None:
    small = replace(problem, size=TINY_SIZE)
    before = {key: tensor.clone() for key, tensor in small.network.state_dict().items()}
    made = METHODS[name](small, small.limit_ms(0.6), tmp_path / "journal")
    assert small.pricer().price(made.network.architecture).upper <= small.limit_ms(0.6)
    assert (made.spent > 0) == name.startswith(("found", "NetAdapt"))
    trained = small.train(made.network, TINY_SIZE.passes - made.spent, made.rate)
    assert TINY_SIZE.passes - BATCH < made.spent + trained <= max(TINY_SIZE.passes, made.spent)
    after = small.network.state_dict()  # every method starts from the same network
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_training_is_counted_in_whole_batches(problem: Problem) -> None:
    assert problem.train(problem.network, 70) == 64


def test_experiment_needs_weights() -> None:
    assert [stage.name for stage in experiment("pretrained").stages] == ["seed", "compare"]
    with pytest.raises(UserError, match="give --weights"):
        weights_file(ReproduceSettings(experiment="pretrained"))
