"""The quick weight gradient of depthwise convolutions against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from searchspace.modules import conv_same, small_maps


@pytest.mark.parametrize(("side", "kernel"), [((2, 2), 3), ((4, 4), 5), ((4, 4), 7), ((3, 2), 5), ((1, 1), 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_torch(side, kernel, layout):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 6, *side, generator=generator, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(6, 1, kernel, kernel, generator=generator, dtype=torch.float64).requires_grad_()
    grad = torch.randn(3, 6, *side, generator=generator, dtype=torch.float64)
    theirs = F.conv2d(x, weight, padding=kernel // 2, groups=6)
    ours = small_maps.depthwise(x, weight)
    torch.testing.assert_close(ours, theirs)
    expected = torch.autograd.grad(theirs, (x, weight), grad)
    torch.testing.assert_close(torch.autograd.grad(ours, (x, weight), grad), expected)


def test_a_frozen_input_gets_no_gradient():
    weight = torch.randn(4, 1, 5, 5, requires_grad=True)
    small_maps.depthwise(torch.randn(2, 4, 4, 4), weight).sum().backward()
    assert weight.grad is not None


def test_used_only_where_it_pays():
    weight = torch.randn(8, 1, 5, 5, requires_grad=True)
    small, large = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 8, 8)
    assert small_maps.pays(small, weight, 8)
    assert not small_maps.pays(large, weight, 8)
    assert not small_maps.pays(small, weight.detach(), 8)
    dense = torch.randn(8, 8, 5, 5, requires_grad=True)
    assert not small_maps.pays(small, dense, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        conv_same(small, weight, 1, 8).sum().backward()
    with torch.no_grad():
        assert not small_maps.pays(small, weight, 8)
    assert type(conv_same(small, weight, 1, 8).grad_fn).__name__ == "_DepthwiseBackward"
