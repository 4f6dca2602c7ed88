"""Published times that stand in papers rather than in data files, with their sources.

Sources: [V3] Howard et al., Searching for MobileNetV3, arXiv 1905.02244, final version, tables 3 to 5, TFLite on one
big core; [TUNAS] google-research/google-research `tunas/cost_model_data.py` (Apache-2.0), the linear cost model of
the ProxylessNAS space on Pixel 1, decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from latency_lut.calibrate.observations import Observation
from latency_lut.provenance import Precision
from latency_lut.samples import Sample, Target
from searchspace.architecture import Activation, Architecture, InvertedResidual, PlacedBlock, block_ops
from searchspace.ops import Op, OpKind
from searchspace.reference import reference

_PIXELS = ("pixel1", "pixel2", "pixel3")

# [V3] table 3, float: network -> ms on Pixel 1, 2 and 3. Left out are "Mnas-small", whose definition was never
# released, and Large-0.75 on Pixel 3, whose 40 ms is the first version's figure (40.1), slower than all beside it.
_TABLE_3: Mapping[str, tuple[float, float, float | None]] = {
    "mobilenet_v3_large": (51.0, 61.0, 44.0),
    "mobilenet_v3_large_0.75": (39.0, 46.0, None),
    "mnasnet_a1": (71.0, 86.0, 61.0),
    "proxylessnas_mobile": (72.0, 84.0, 60.0),
    "mobilenet_v2": (64.0, 76.0, 56.0),
    "mobilenet_v3_small": (15.8, 19.4, 14.4),
    "mobilenet_v3_small_0.75": (12.8, 15.6, 11.7),
    "mobilenet_v2_0.35": (16.6, 19.6, 13.9),
}

# [V3] table 4, 8-bit.
_TABLE_4: Mapping[str, tuple[float, float, float | None]] = {
    "mobilenet_v3_large": (44.0, 42.5, 31.7),
    "mobilenet_v2": (52.0, 48.3, 37.0),
    "mobilenet_v3_small": (15.5, 14.9, 10.7),
    "mobilenet_v2_0.35": (16.7, 15.6, 11.9),
}

# [V3] table 5, Pixel 1, float: first output width with h-swish in V3-Large -> ms beyond ReLU everywhere (50.5 ms).
_TABLE_5: Mapping[int, float] = {16: 3.0, 80: 0.9, 112: 0.5}
_TABLE_5_ERROR_MS = 0.15

# [TUNAS] rows of the ProxylessNAS space: (map size, channels in, channels out, stride) -> ms relative to the bias for
# k3e3, k3e6, k5e3, k5e6, k7e3, k7e6 and, where the layer may be absent, skip.
_TUNAS_CHOICES = ((3, 3), (3, 6), (5, 3), (5, 6), (7, 3), (7, 6))
_TUNAS_ROWS: Mapping[tuple[int, int, int, int], tuple[float, ...]] = {
    (112, 16, 32, 2): (-4.03, 0.27, -2.30, 5.15, 1.89, 7.84),
    (56, 32, 32, 1): (-4.25, 1.26, -1.15, 6.56, 2.29, 13.85, -9.74),
    (56, 32, 40, 2): (-1.44, 1.75, -0.75, 3.32, 0.30, 5.66),
    (28, 40, 40, 1): (-0.42, 1.78, 0.27, 3.01, 1.30, 5.15, -2.26),
    (28, 40, 80, 2): (0.40, 1.82, 0.62, 2.26, 0.90, 2.83),
    (14, 80, 80, 1): (0.32, 1.99, 0.63, 2.56, 1.07, 3.34, -1.09),
    (14, 80, 96, 1): (0.08, 1.87, 0.37, 2.44, 0.83, 3.23),
    (14, 96, 96, 1): (-0.04, 2.48, 0.30, 3.22, 0.80, 4.10, -2.04),
    (14, 96, 192, 2): (0.33, 2.27, 0.44, 2.47, 0.58, 2.74),
    (7, 192, 192, 1): (-0.21, 3.59, -0.05, 3.86, 0.12, 4.27, -2.75),
    (7, 192, 320, 1): (-1.19, 3.65, -1.04, 3.93, -0.85, 4.32),
}
_TUNAS_SEPARABLE = {3: -1.75, 5: 2.35, 7: 8.23}  # 112x112, 32 to 16 channels, by kernel
_TUNAS_PROXYLESS_MOBILE_MS = 84.42
_TUNAS_ROUNDING_MS = 0.015


def published_networks(target: Target) -> list[Sample]:
    """Return the whole networks of the MobileNetV3 paper for one phone and precision, on the paper's scale."""
    if target.device not in _PIXELS:
        return []
    column = _PIXELS.index(target.device)
    table = _TABLE_3 if target.precision is Precision.FLOAT32 else _TABLE_4
    return [
        _sample(name, reference(name), latency_ms)
        for name, times in table.items()
        if (latency_ms := times[column]) is not None
    ]


def _sample(label: str, network: Architecture, latency_ms: float) -> Sample:
    return Sample(label, "", tuple(op for layer in network.ops() for op in layer.ops), latency_ms, True)


def hswish_differences() -> Iterator[Observation]:
    """Yield what h-swish adds to MobileNetV3-Large on Pixel 1, on the paper's scale: differences to ReLU everywhere."""
    for width, latency_ms in _TABLE_5.items():
        ops = Counter(op for layer in _with_hswish_from(width).ops() for op in layer.ops if op.kind is OpKind.HSWISH)
        label = f"h-swish from {width} channels on"
        yield Observation(label, "", ops, latency_ms, _TABLE_5_ERROR_MS, False)


def _with_hswish_from(width: int) -> Architecture:
    """Return V3-Large with h-swish in the blocks of at least `width` output channels, ReLU in those before them."""
    large = reference("mobilenet_v3_large")
    blocks = tuple(
        block.with_fields(activation=Activation.HSWISH if block.out >= width else Activation.RELU)
        for block in large.blocks
    )
    return replace(large, blocks=blocks)


def tunas_differences() -> Iterator[Observation]:
    """Yield what TuNAS's table of the ProxylessNAS space says: differences of choices, one total."""
    for (size, cin, out, stride), times in _TUNAS_ROWS.items():
        first = _block_counts(size, cin, out, stride, *_TUNAS_CHOICES[0])
        for (kernel, expansion), time in zip(_TUNAS_CHOICES[1:], times[1:6], strict=True):
            counts = _block_counts(size, cin, out, stride, kernel, expansion)
            yield _difference(f"{size}px {cin}>{out} k{kernel}e{expansion}", counts, first, time - times[0])
        if len(times) == 7:
            yield _difference(f"{size}px {cin}>{out} k3e3", first, Counter(), times[0] - times[6])
    separable = {kernel: _block_counts(112, 32, 16, 1, kernel, 1) for kernel in _TUNAS_SEPARABLE}
    for kernel in (5, 7):
        time = _TUNAS_SEPARABLE[kernel] - _TUNAS_SEPARABLE[3]
        yield _difference(f"112px separable k{kernel}", separable[kernel], separable[3], time)
    whole = _sample("proxylessnas_mobile", reference("proxylessnas_mobile"), _TUNAS_PROXYLESS_MOBILE_MS)
    yield Observation(whole.label, "tunas", Counter(whole.ops), whole.latency_ms, 0.01 * whole.latency_ms, True)


def _block_counts(size: int, cin: int, out: int, stride: int, kernel: int, expansion: int) -> Counter[Op]:
    block = InvertedResidual(kernel=kernel, stride=stride, hidden=cin * expansion, out=out, activation=Activation.RELU6)
    return Counter(block_ops(PlacedBlock(block, size, cin)))


def _difference(label: str, more: Counter[Op], less: Counter[Op], latency_ms: float) -> Observation:
    counts = Counter[Op](more)
    counts.subtract(less)
    kept = {op: count for op, count in counts.items() if count}
    return Observation(label, "tunas", kept, latency_ms, 0.01 * abs(latency_ms) + _TUNAS_ROUNDING_MS, False)
