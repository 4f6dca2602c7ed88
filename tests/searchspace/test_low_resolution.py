"""Taking back early strides for small images."""

import pytest

from searchspace.low_resolution import for_images
from searchspace.reference import reference, reference_names


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v2", "mobilenext", "mnasnet_a1"])
@pytest.mark.parametrize(("image_size", "final_size"), [(8, 2), (16, 2), (32, 4), (64, 4), (128, 4), (224, 7)])
def test_the_last_map_keeps_an_eighth_of_a_small_image(name: str, image_size: int, final_size: int) -> None:
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
