"""The quick gradients of depthwise convolutions against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from searchspace.modules import ConvBNAct, conv_same, depthwise
from searchspace.modules.depthwise import Padding

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def inputs(side, kernel, stride, padding, layout, dtype=torch.float64, channels=6):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, channels, *side, generator=generator, dtype=dtype).to(memory_format=layout)
    weight = torch.randn(channels, 1, kernel, kernel, generator=generator, dtype=dtype)
    out = [(n + sum(padding) - kernel) // stride + 1 for n in side]
    grad = torch.randn(3, channels, *out, generator=generator, dtype=dtype).to(memory_format=layout)
    return x, weight, grad


def torch_result(x, weight, stride, padding):
    around = F.pad(x, (padding.before, padding.after) * 2)
    return F.conv2d(around, weight, stride=stride, groups=len(weight))


@pytest.mark.parametrize(("side", "kernel"), [((2, 2), 3), ((4, 4), 5), ((4, 4), 7), ((3, 2), 5), ((1, 1), 3)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_on_small_maps_are_those_of_torch(side, kernel, layout):
    padding = Padding(kernel // 2, kernel // 2)
    x, weight, grad = inputs(side, kernel, 1, padding, layout)
    x.requires_grad_(), weight.requires_grad_()
    theirs = torch_result(x, weight, 1, padding)
    ours = depthwise.depthwise(x, weight, 1, padding)
    torch.testing.assert_close(ours, theirs)
    expected = torch.autograd.grad(theirs, (x, weight), grad)
    torch.testing.assert_close(torch.autograd.grad(ours, (x, weight), grad), expected)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [
        ((8, 8), 5, 1, Padding(2, 2)),
        ((9, 7), 7, 1, Padding(3, 3)),
        ((8, 8), 5, 2, Padding(1, 2)),
        ((9, 9), 5, 2, Padding(2, 2)),
        ((12, 12), 7, 2, Padding(2, 3)),
        ((4, 4), 7, 1, Padding(3, 3)),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_windows_are_those_of_the_whole_kernel(side, kernel, stride, padding, layout):
    x, weight, grad = inputs(side, kernel, stride, padding, layout, torch.float32, channels=16)
    weight.requires_grad_()
    expected = torch.autograd.grad(torch_result(x, weight, stride, padding), weight, grad)[0]
    found = depthwise.windows(x, grad, kernel, stride, padding)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [(6, 6), (20, 20), (4, 4)])
def test_a_layer_in_bfloat16_learns_what_it_does_in_float32(kernel, stride, side):
    layer = ConvBNAct(16, 16, kernel, stride, depthwise=True)
    x, *_ = inputs(side, kernel, stride, Padding(3, 3), torch.channels_last, torch.float32, channels=16)
    gradients = []
    for bf16 in (False, True):
        at = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            convolved = conv_same(at, layer.conv.weight, stride, 16)
            assert convolved.dtype is (torch.bfloat16 if bf16 else torch.float32)
        loss = (convolved.float() * torch.arange(convolved.numel()).reshape(convolved.shape).sin()).sum()
        gradients.append(torch.autograd.grad(loss, (at, layer.conv.weight)))
    for exact, rounded in zip(*gradients, strict=True):
        assert rounded.dtype is torch.float32
        assert float((exact - rounded).norm() / exact.norm()) < 0.01


def test_a_frozen_input_gets_no_gradient():
    weight = torch.randn(4, 1, 5, 5, requires_grad=True)
    depthwise.depthwise(torch.randn(2, 4, 4, 4), weight, 1, Padding(2, 2)).sum().backward()
    assert weight.grad is not None


def test_used_only_where_it_pays():
    weight = torch.randn(8, 1, 5, 5, requires_grad=True)
    small, large = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 8, 8)
    assert depthwise.pays(small, weight, 8)
    assert not depthwise.pays(large, weight, 8)
    assert not depthwise.pays(small, weight.detach(), 8)
    dense = torch.randn(8, 8, 5, 5, requires_grad=True)
    assert not depthwise.pays(small, dense, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert depthwise.pays(large, weight, 8)
        assert not depthwise.pays(large, torch.randn(8, 1, 3, 3, requires_grad=True), 8)
    with torch.no_grad():
        assert not depthwise.pays(small, weight, 8)
    assert type(conv_same(small, weight, 1, 8).grad_fn).__name__ == "_DepthwiseBackward"
