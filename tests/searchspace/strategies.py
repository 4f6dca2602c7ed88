"""Hypothesis strategies that draw architectures of every block kind."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from searchspace import Activation, Architecture, Conv, Depthwise, Gate, Head, InvertedResidual, Sandglass, Separable
from searchspace import Stem as StemValue

channels = st.integers(1, 64)
kernels = st.sampled_from((1, 3, 5, 7))
strides = st.sampled_from((1, 2))
activations = st.sampled_from(Activation)
identities = st.sampled_from((Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(1)))
squeezes = st.one_of(
    st.just({}), st.builds(lambda n, gate: {"squeeze": n, "gate": gate}, channels, st.sampled_from(Gate))
)


@st.composite
def blocks(draw):
    kind = draw(st.sampled_from((InvertedResidual, Sandglass, Separable, Conv)))
    fields = {
        "kernel": draw(kernels),
        "stride": draw(strides),
        "out": draw(channels),
        "activation": draw(activations),
    }
    if kind in (InvertedResidual, Sandglass):
        fields |= {"hidden": draw(channels), "identity": draw(identities)} | draw(squeezes)
    if kind is Conv:
        fields["identity"] = draw(identities)
    if kind is Sandglass:
        layouts = [Depthwise.BOTH, Depthwise.LAST] + ([Depthwise.NONE] if fields["stride"] == 1 else [])
        fields["depthwise"] = draw(st.sampled_from(layouts))
    return kind(**fields)


stems = st.builds(StemValue, kernel=kernels, stride=strides, out=channels, activation=activations)
heads = st.builds(Head, conv=st.integers(0, 64), hidden=st.integers(0, 64), activation=activations)
architectures = st.builds(
    Architecture,
    resolution=st.integers(1, 64),
    stem=stems,
    blocks=st.lists(blocks(), min_size=1, max_size=5).map(tuple),
    head=heads,
    classes=st.integers(1, 20),
)
