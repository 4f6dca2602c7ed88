"""Bilevel cell search: the second-order gradient against an exact one, and resuming to the same result."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.data import load_data
from nas.supernets.bilevel import first_order_gradient, halves, search_cells, second_order_gradient
from nas.supernets.bilevel_settings import BilevelSettings, Order, darts_search
from nas.training.checkpoint import Checkpoints
from nas.training.execution import Execution
from searchspace.cells import CellSpace
from searchspace.cells.supernet import build_cell_supernet

SPACE = CellSpace(("max_pool_3x3", "skip_connect", "sep_conv_3x3"), name="tiny", resolution=8, cells=3, channels=4)
QUICK = replace(darts_search(2), batch_size=32)


class Problem:
    """Losses that are smooth in six weights and three architecture values, with mixed second derivatives."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(6, generator=generator, dtype=torch.float64))
        self.architecture = torch.randn(3, generator=generator, dtype=torch.float64)
        self.matrices = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)

    def train_loss(self, weights, architecture):
        return (torch.tanh(self.matrices[0] @ architecture) * weights).square().sum() + weights.sin().sum()

    def valid_loss(self, weights, architecture):
        return (weights - self.matrices[1] @ architecture.softmax(0)).square().mean()


def test_second_order_gradient_is_the_exact_one():
    problem, rate, momentum, decay = Problem(), 0.1, 0.9, 0.01
    velocity = torch.full((6,), 0.3, dtype=torch.float64)
    weights, architecture = problem.weights, problem.architecture.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(problem.train_loss(weights, architecture), weights, create_graph=True)
    ahead = weights - rate * (momentum * velocity + gradient + decay * weights)
    (exact,) = torch.autograd.grad(problem.valid_loss(ahead, architecture), architecture)

    step = [momentum * velocity + gradient.detach() + decay * weights.detach()]
    before = weights.detach().clone()
    (found,) = second_order_gradient(
        lambda a: problem.train_loss(weights, a[0]),
        lambda a: problem.valid_loss(weights, a[0]),
        [problem.architecture],
        [weights],
        step,
        rate,
    )
    (first,) = first_order_gradient(lambda a: problem.valid_loss(weights, a[0]), [problem.architecture])
    assert torch.allclose(found, exact, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(first, exact, rtol=0.1)
    assert torch.equal(weights, before)


def test_halves_share_no_image():
    split = load_data("digits", subset=300).train
    first, second = halves(split, seed=1)
    assert {*first.indices.tolist()} & {*second.indices.tolist()} == set()
    assert len(first) + len(second) == len(split)


class Stop(Exception):
    pass


class StopAt:
    """An observer that ends a run in the middle of its second epoch."""

    def step_done(self, epoch, step, steps, images):
        if (epoch, step) == (2, 2):
            raise Stop

    def epoch_done(self, record):
        pass


@pytest.mark.parametrize(("order", "partial"), [(Order.FIRST, 1), (Order.SECOND, 1), (Order.FIRST, 2)])
def test_a_stopped_search_resumes_to_the_same_result(tmp_path, order, partial):
    data = load_data("digits", subset=240)
    settings = BilevelSettings(order=order, learning_rate=0.01, frozen_share=0.2)

    def started():
        return build_cell_supernet(SPACE, seed=0, cells=3, channels=4, partial=partial)

    def run(supernet, **options):
        return search_cells(supernet, data, QUICK, settings, seed=5, execution=Execution(), **options)

    whole = started()
    run(whole)
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Stop):
        run(started(), checkpoints=Checkpoints(path=path, every_seconds=0), observer=StopAt())
    resumed = started()
    run(resumed, checkpoints=Checkpoints(path=path, resume=True))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not torch.equal(whole.normal, started().normal)


def test_frozen_logits_do_not_move():
    data = load_data("digits", subset=120)
    supernet = build_cell_supernet(SPACE, seed=0, cells=3, channels=4)
    before = supernet.normal.clone()
    search_cells(supernet, data, replace(QUICK, epochs=1), BilevelSettings(frozen_share=0.99), seed=0)
    assert torch.equal(supernet.normal, before)
