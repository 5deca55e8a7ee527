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
