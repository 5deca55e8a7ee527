from __future__ import annotations

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.preprocess import ImagePreprocess


def test_the_centre_square_is_kept_and_averaged() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:4] = (10, 20, 30)
    image[:, 4:6] = (50, 60, 70)
    image[:, :2] = image[:, 6:] = 255
    out = ImagePreprocess(2)(image)
    np.testing.assert_array_equal(out, [[[10, 20, 30], [50, 60, 70]]] * 2)
    assert out.flags.c_contiguous


def test_without_crop_the_whole_image_is_squeezed() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 4:] = 200
    np.testing.assert_array_equal(ImagePreprocess(2, crop="none")(image)[..., 0], [[0, 200], [0, 200]])


@pytest.mark.parametrize("shape", [(480, 640), (478, 640), (300, 201), (112, 112), (90, 70)])
def test_halving_first_keeps_areas_brightness_and_place(shape: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    ramp = np.stack([40 + 160 * rows, 40 + 160 * columns, np.full(shape, 90.0)], axis=-1).astype(np.uint8)
    out = ImagePreprocess(112, crop="none")(ramp).astype(float)
    middle = (np.arange(112) + 0.5) / 112
    np.testing.assert_allclose(out[..., 0], np.broadcast_to(40 + 160 * middle[:, None], (112, 112)), atol=3.0)
    np.testing.assert_allclose(out[..., 1], np.broadcast_to(40 + 160 * middle, (112, 112)), atol=3.0)
    np.testing.assert_array_equal(out[..., 2], 90)


@pytest.mark.parametrize("side", [480, 560, 720])
def test_no_pixel_of_a_large_image_is_left_out(side: int) -> None:
    weights = []
    for column in range(4, side - 4):  # at the rim, bilinear sampling repeats pixels
        image = np.zeros((side, side, 3), np.uint8)
        image[:, column - 1 : column + 2] = 255
        weights.append(float(ImagePreprocess(112)(image).sum()))
    mean = np.mean(weights)
    assert 0.7 * mean < min(weights) and max(weights) < 1.3 * mean


def test_an_image_of_the_right_size_is_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(ImagePreprocess(16)(image), image)


def test_wrong_images_and_settings_are_refused() -> None:
    with pytest.raises(SparkError, match=r"float32 \(4, 4, 3\)"):
        ImagePreprocess(2)(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(SparkError, match=r"uint8 \(4, 4\)"):
        ImagePreprocess(2)(np.zeros((4, 4), np.uint8))
    with pytest.raises(SparkError, match="crop 'left'"):
        ImagePreprocess(2, crop="left")
