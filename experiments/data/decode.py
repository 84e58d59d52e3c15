"""From an image file to pixels of 8 bits, at the full range of what it stores.

A pixel's level follows from its stored value and from one range of values, which is that of the
file's type where it has one and otherwise the user's: never from the image's other pixels or from
its neighbours in the folder. Letters: H height, W width, C channels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from qbackend.errors import DataError

from .source import checking

Range = tuple[float, float]
"""Two stored values: that of black and that of white."""

_GREY = ("1", "L", "LA", "La")
_WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa", "P")
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""Tags of TIFF 6.0, sections 8 and 19."""
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
"""Values of the last two of them."""
_ORIENTATION = 274
"""Tag of Exif and TIFF 6.0: how a camera was held."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets an image upright, by its orientation; 1 is."""


class UnknownRangeError(DataError):
    """Nothing says which of an image's values is black and which is white."""


@dataclass(frozen=True)
class Decoded:
    """An image.

    Attributes:
        pixels: (H, W, C).
        stored: smallest and largest stored value, None for an image of up to 8 bits.
        range: by which the stored values became levels, None for the same.
        hides_picture: the pixels are all of one colour, and an alpha channel is not.
        n_frames: in the file, of which this is the first.
        is_turned: it lay on its side in the file, or was mirrored.
    """

    pixels: NDArray[np.uint8]
    stored: Range | None
    range: Range | None
    hides_picture: bool
    n_frames: int
    is_turned: bool

    @property
    def is_constant(self) -> bool:
        """Whether all pixels are of one colour."""
        return _is_constant(self.pixels)


def is_grey(path: Path) -> bool:
    """Whether the image has one channel beside alpha; raises `DataError`."""
    with checking(path), Image.open(path) as image:
        return image.mode in _GREY or _is_deep(image)


def decode(path: Path, channels: int, size: int | None, given: Range | None) -> Decoded:
    """The image, upright, in one channel or three, without alpha, cut and scaled if asked.

    Images deeper than 8 bits are rounded to 256 levels. Pillow gives them one channel, and reads
    colours of 16 bits by their high bytes.

    Args:
        path: of the file.
        channels: 1 or 3.
        size: side to which the middle square is scaled.
        given: range of images deeper than 8 bits in place of their own; values beyond it become
            black or white.

    Raises:
        DataError: a damaged file, or values that are not finite.
        UnknownRangeError: no range is given, and the file has none or values beyond it.
    """
    stored: Range | None = None
    span: Range | None = None
    with checking(path), Image.open(path) as file:
        n_frames = getattr(file, "n_frames", 1)
        turn = _turn(file)
        # Pillow converts premultiplied grey to nothing else.
        image = file.convert("LA") if file.mode == "La" else file.copy()
        if _is_deep(file):
            values = _values(file)
            stored = _extremes(values, path)
            span = given or _own_range(file, stored, path)
            image = Image.fromarray(_levels(values, span, _tag(file, _PHOTOMETRIC)))
        alpha = None
        if image.mode in _WITH_ALPHA:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"))
        image = image.convert("L" if channels == 1 else "RGB")
        if turn is not None:
            image = image.transpose(turn)
        if size is not None:
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, channels)
    hides = alpha is not None and _is_constant(pixels) and not _is_constant(alpha)
    return Decoded(pixels, stored, span, hides, n_frames, turn is not None)


def stored_extremes(path: Path) -> Range | None:
    """Smallest and largest stored value, None for an image of up to 8 bits; raises `DataError`."""
    with checking(path), Image.open(path) as image:
        return _extremes(_values(image), path) if _is_deep(image) else None


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What sets the image upright; None for one that is, or does not say."""
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, ValueError, KeyError, OSError, struct.error):
        # Notes that are damaged leave the pixels as they are.
        return None


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _is_constant(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == pixels[:1, :1]).all())


def _tag(image: Image.Image, number: int) -> int | None:
    """The value of a TIFF's tag, the first of several; None where there is none."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) else value


def _values(image: Image.Image) -> NDArray[np.float64]:
    """The stored values (H, W) of a deep image."""
    values = np.asarray(image)
    if values.dtype == np.int32 and _type(image) == (32, _UNSIGNED):
        # Pillow's integers are signed.
        values = values.view(np.uint32)
    return values.astype(np.float64)


def _type(image: Image.Image) -> tuple[int | None, int | None]:
    """Bits and sample format that a TIFF says; unsigned is TIFF's default."""
    return _tag(image, _BITS), _tag(image, _SAMPLE_FORMAT) or _UNSIGNED


def _extremes(values: NDArray[np.float64], path: Path) -> Range:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{path} holds values that are not finite; replace them")
    return low, high


def _own_range(image: Image.Image, stored: Range, path: Path) -> Range:
    """That of the type: all of up to 16 bits, 0 to 1 for floating point."""
    bits, _ = _type(image)
    if image.mode == "F":
        if stored[0] < 0 or stored[1] > 1:
            raise UnknownRangeError(
                f"{path} holds floating-point values from {stored[0]:g} to {stored[1]:g}, which "
                "are expected between 0 (black) and 1 (white)"
            )
        return 0.0, 1.0
    if image.mode.startswith("I;16"):
        return 0.0, 2.0 ** (bits or 16) - 1
    # Pillow scales PGM to 16 bits, and before version 10.3 gave PNG of 16 bits this mode.
    if image.format in ("PPM", "PNG"):
        return 0.0, 2.0**16 - 1
    if bits == 16:
        return -(2.0**15), 2.0**15 - 1
    raise UnknownRangeError(
        f"{path} holds integers of 32 bits, from {stored[0]:.0f} to {stored[1]:.0f}: nothing says "
        "which value is black and which is white"
    )


def _levels(values: NDArray[np.float64], span: Range, photometric: int | None) -> NDArray[np.uint8]:
    """The level of each value, 0 at the low end of `span` and 255 at the high end."""
    low, high = span
    levels = np.rint((values.clip(low, high) - low) * (255 / (high - low)))
    return (255 - levels if photometric == _WHITE_IS_ZERO else levels).astype(np.uint8)
