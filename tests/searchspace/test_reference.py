"""Reference networks against the parameters and MAdds their papers and authors' code state."""

from __future__ import annotations

import pytest

from searchspace import UserError, parse, reference, reference_names

# Exact parameters; MAdds in millions as the block tables sum to them, to the digits they are given with.
PUBLISHED = {
    "mobilenet_v1": (4_231_976, 568.74),
    "mobilenet_v2": (3_504_872, 300.77),
    "mobilenet_v3_large": (5_483_032, 216.59),
    "mobilenet_v3_small": (2_542_856, 56.51),
    "mnasnet_a1": (3_887_038, 311.58),
    "mnasnet_b1": (4_383_312, 314.42),
    "mnasnet_small": (2_030_264, 68.34),
    "mobilenext": (3_535_416, 311.34),
    "mobilenext_1.4": (6_126_168, 588.32),
    "mobilenext_0.75": (2_766_168, 207.93),
    "mobilenext_0.5": (2_152_304, 103.26),
    "mobilenext_0.35": (1_913_976, 75.14),
    "mobilenet_v4_conv_small": (3_774_024, 186.01),
    "mobilenet_v4_conv_small@256": (3_774_024, 242.18),
    "mobilenet_v4_conv_medium": (9_715_512, 1080.24),
    "mobilenet_v4_conv_medium@224": (9_715_512, 827.65),
    "mobilenet_v4_conv_large": (32_590_864, 6376.22),
}

# Rounded figures of the papers: parameters in millions, MAdds in millions, with their last digit as tolerance.
ROUNDED = {
    "mobilenet_v1_0.75": (2.6, 325.4, 0.1, 0.1),
    "mobilenet_v1_0.5": (1.3, 149, 0.1, 1),
    "mobilenet_v1_0.25": (0.5, 41, 0.1, 0.5),
    "mobilenet_v1@192": (4.2, 418, 0.1, 1),
    "mobilenet_v1@160": (4.2, 290, 0.1, 1),
    "mobilenet_v1@128": (4.2, 186, 0.1, 1),
    "mobilenet_v2_1.4": (6.109, 582, 0.001, 0.5),
    "mobilenet_v2_0.75": (2.61, 209, 0.05, 0.5),
    "mobilenet_v2_0.5": (1.95, 97, 0.05, 0.5),
    "mobilenet_v2_0.35": (1.66, 59, 0.05, 0.5),
    "mobilenet_v2@160": (3.5, 154, 0.1, 1),
    "mobilenet_v3_large_0.75": (3.994, 154.6, 0.001, 0.1),
    "mobilenet_v3_small_0.75": (2.042, 43.4, 0.001, 0.1),
    "mobilenet_v3_large_minimalistic": (3.924, 209.1, 0.001, 0.1),
    "mobilenet_v3_small_minimalistic": (2.045, 52.3, 0.001, 0.1),
    "mnasnet_a1_1.4": (6.1, 586, 0.05, 1),
    "proxylessnas_mobile": (4.08, 320, 0.005, 1),
    "mobilenet_v1_conv": (29.3, 4866, 0.05, 2),
    "mobilenet_v1_shallow": (2.9, 307, 0.05, 0.5),
    "mobilenet_v4_conv_small_0.5": (2.24, 64.7, 0.005, 0.1),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_exact_counts(name):
    params, madds_m = PUBLISHED[name]
    network = reference(name)
    assert network.params == params
    assert round(network.madds / 1e6, 2) == madds_m


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_counts(name):
    params_m, madds_m, params_tolerance, madds_tolerance = ROUNDED[name]
    network = reference(name)
    assert network.params / 1e6 == pytest.approx(params_m, abs=params_tolerance)
    assert network.madds / 1e6 == pytest.approx(madds_m, abs=madds_tolerance)


# MobileNeXt's narrow widths per block as its code builds them.
HIDDEN = {
    "mobilenext_1.4": "24,32,48,48,48,64,64,64,96,96,96,96,128,128,128,128,224,224,224,304",
    "mobilenext": "16,32,32,32,32,48,48,48,64,64,64,64,96,96,96,96,160,160,160,208",
    "mobilenext_0.75": "12,32,32,24,24,48,36,36,48,48,48,48,80,72,72,72,128,120,120,208",
    "mobilenext_0.35": "8,16,16,16,16,32,32,32,32,32,32,32,32,32,32,32,64,56,56,208",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_mobilenext_hidden_widths(name):
    assert ",".join(str(block.hidden) for block in reference(name).blocks) == HIDDEN[name]


def test_every_reference_name_round_trips():
    for name in reference_names():
        assert parse(str(reference(name))) == reference(name)


def test_resolution_suffix_changes_only_the_resolution():
    assert reference("mobilenet_v2_0.75@160") == reference("mobilenet_v2_0.75").with_resolution(160)


@pytest.mark.parametrize("name", ["mobilenet_v4", "mobilenet_v2_", "mobilenet_v2@", "mobilenet_v2_0,5", "", "V2"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UserError, match="unknown network"):
        reference(name)


def test_unknown_name_suggests_a_close_one():
    with pytest.raises(UserError, match="mobilenet_v3_large"):
        reference("mobilenet_v3_larg")


@pytest.mark.parametrize("name", ["mobilenet_v2_0.0", "mobilenet_v2@0", "mobilenet_v2@99999", "mobilenet_v2_99.0"])
def test_impossible_multipliers_are_refused(name):
    with pytest.raises(UserError, match="expected"):
        reference(name)
