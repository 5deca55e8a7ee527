"""From a camera image to the square the encoder sees: the same pixels in training and on the robot.

Only geometry happens here; the division by 255 and the ImageNet normalisation are part of the encoder's graph, so
that frames travel as uint8 for as long as possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import ImageArray, SparkError

# Of images scaled to [0, 1], RGB: what DINOv2 and its relatives were trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CROPS = ("center", "none")


@dataclass(frozen=True)
class ImagePreprocess:
    """Cut and scale an image to a square.

    Attributes:
        size: Side of the result in pixels.
        crop: ``center`` cuts the largest centred square first; ``none`` squeezes the whole image.

    Raises:
        SparkError: The crop is unknown or the size is not positive.
    """

    size: int
    crop: str = "center"

    def __post_init__(self) -> None:
        if self.crop not in CROPS or self.size < 1:
            raise SparkError(
                f"image preprocessing with size {self.size} and crop {self.crop!r} is not possible: "
                f"expected a positive size and one of {', '.join(CROPS)}"
            )

    def __call__(self, image: ImageArray) -> ImageArray:
        """Scale one image.

        Args:
            image: (H, W, 3) uint8, RGB.

        Returns:
            (size, size, 3) uint8, RGB, contiguous.

        Raises:
            SparkError: The image is not (H, W, 3) uint8.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise SparkError(f"an image came as {image.dtype} {image.shape}, expected uint8 (height, width, 3) in RGB")
        if self.crop == "center":
            image = _centre_square(image)
        return np.ascontiguousarray(scaled(image, self.size))


def scaled(image: ImageArray, size: int) -> ImageArray:
    """Scale to a square, averaging over areas.

    A camera image is usually several times larger than the encoder's input, and bilinear sampling would alias exactly
    the small edges a grasp depends on. OpenCV averages over areas of broken pixels slowly and halves many times
    faster. So what is at least twice as large is halved first, and where little is then left to do, it is done
    bilinearly: up to a factor of 1.25 every pixel keeps three quarters of its weight or more.

    Args:
        image: (H, W, 3) uint8.
        size: Side of the result in pixels.

    Returns:
        (size, size, 3) uint8; the image itself where it has that size already.
    """
    if image.shape[:2] == (size, size):
        return image
    import cv2  # here: most nodes read of preprocessing in a manifest, and never see an image; it takes 16 MB

    height, width = image.shape[:2]
    rest = cv2.INTER_AREA
    while height % 2 == 0 and width % 2 == 0 and min(height, width) >= 2 * size:
        height, width = height // 2, width // 2
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        rest = cv2.INTER_LINEAR if 4 * max(height, width) <= 5 * size else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (size, size), interpolation=rest), np.uint8)


def _centre_square(image: ImageArray) -> ImageArray:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
