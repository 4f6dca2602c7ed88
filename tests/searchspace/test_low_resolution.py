"""Taking back early strides for small images."""

import pytest

from searchspace import UserError
from searchspace.low_resolution import drop_strides, dropped_between, for_images, run_form, size_to_run_at
from searchspace.reference import reference, reference_names


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v2", "mobilenext", "mnasnet_a1"])
@pytest.mark.parametrize(("image_size", "final_size"), [(8, 2), (16, 2), (32, 4), (63, 4), (64, 2), (96, 3), (224, 7)])
def test_the_last_map_keeps_an_eighth_of_images_below_64_pixels(name: str, image_size: int, final_size: int) -> None:
    reduced = for_images(reference(name), image_size)
    assert reduced.resolution == image_size
    assert reduced.final_size == final_size


def test_large_images_leave_the_strides_alone() -> None:
    original = reference("mobilenet_v3_large")
    assert for_images(original, 224) == original


def test_parameters_stay_the_same() -> None:
    for name in reference_names():
        original = reference(name)
        assert for_images(original, 32).params == original.params


def test_a_network_of_small_images_keeps_its_strides_at_its_own_resolution() -> None:
    small = reference("mobilenet_v2").with_resolution(32)
    assert for_images(small, 32) == small
    assert run_form(small, 32, dropped_strides=3).of(small).final_size == 8


def test_no_more_strides_are_dropped_than_there_are() -> None:
    with pytest.raises(UserError, match="6 strides to drop, expected 0 to 5"):
        run_form(reference("mobilenet_v2"), 96, dropped_strides=6)


@pytest.mark.parametrize(
    ("resolution", "native_size", "expected"), [(160, None, 160), (160, 32, 32), (16, 32, 16), (224, 64, 224)]
)
def test_only_small_images_change_the_resolution(resolution: int, native_size: int | None, expected: int) -> None:
    assert size_to_run_at(resolution, native_size) == expected


def test_what_runs_tells_how_many_strides_were_dropped() -> None:
    network = reference("mobilenet_v2")
    for count in range(6):
        run = drop_strides(network, count).with_resolution(32).with_classes(10)
        assert dropped_between(network, run) == count
    assert dropped_between(network, reference("mobilenet_v3_large")) is None
