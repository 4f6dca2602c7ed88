"""Taking back early strides for small images."""

import pytest

from searchspace.errors import UserError
from searchspace.low_resolution import for_image_size
from searchspace.reference import reference, reference_names


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v2", "mobilenext", "mnasnet_a1"])
@pytest.mark.parametrize(("image_size", "smallest"), [(8, 2), (8, 4), (32, 2), (32, 4), (96, 2), (224, 2)])
def test_the_final_map_is_large_enough_and_no_larger_than_needed(name: str, image_size: int, smallest: int) -> None:
    original = reference(name)
    reduced = for_image_size(original, image_size, smallest)
    assert reduced.resolution == image_size
    assert reduced.final_size >= smallest
    unchanged = original.with_resolution(image_size)
    assert reduced == unchanged or reduced.final_size < 2 * smallest


def test_large_images_leave_the_strides_alone() -> None:
    original = reference("mobilenet_v3_large")
    assert for_image_size(original, 224) == original


def test_parameters_stay_the_same() -> None:
    for name in reference_names():
        original = reference(name)
        assert for_image_size(original, 32).params == original.params


def test_an_image_smaller_than_the_map_is_refused() -> None:
    with pytest.raises(UserError, match="larger image size"):
        for_image_size(reference("mobilenet_v2"), 1)
