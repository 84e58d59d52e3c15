"""Every mode of image that Pillow reads, at its full range."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL import __version__ as pillow_version

from experiments.data.decode import decode
from experiments.data.load import load_data
from experiments.data.splits import ImageData
from qbackend.errors import DataError

from .files import write_images
from .tiff import write_12_bits, write_array, write_premultiplied

Write = Callable[[Path, np.ndarray], None]
"""Takes a ramp (H, W) from 0 to 1 to a file."""

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16)

READ_SINCE_13 = pytest.mark.skipif(
    int(pillow_version.partition(".")[0]) < 13, reason="an older Pillow reads no such TIFF"
)


def integers(dtype: str, low: int, high: int) -> Write:
    def write(path: Path, ramp: np.ndarray) -> None:
        write_array(path, np.round(low + ramp * (high - low)).astype(dtype))

    return write


def through_pillow(dtype: str, high: float) -> Write:
    def write(path: Path, ramp: np.ndarray) -> None:
        Image.fromarray((np.round(ramp * high) if high > 1 else ramp).astype(dtype)).save(path)

    return write


def pgm(high: int) -> Write:
    def write(path: Path, ramp: np.ndarray) -> None:
        header = f"P5 {ramp.shape[1]} {ramp.shape[0]} {high}\n".encode()
        path.write_bytes(header + np.round(ramp * high).astype(">u2").tobytes())

    return write


def floats(dtype: str) -> Write:
    return lambda path, ramp: write_array(path, ramp.astype(dtype))


def white_is_zero(path: Path, ramp: np.ndarray) -> None:
    write_array(path, np.round((1 - ramp) * 65535).astype("<u2"), photometric=0)


def white_is_zero_in_floats(path: Path, ramp: np.ndarray) -> None:
    write_array(path, (1 - ramp).astype(">f4"), photometric=0)


WITH_A_RANGE: dict[str, Write] = {
    "PNG, 16 bits": through_pillow("uint16", 65535),
    "PGM, 16 bits": pgm(65535),
    "PGM, 12 bits": pgm(4095),
    "TIFF, 12 bits": lambda path, ramp: write_12_bits(path, np.round(ramp * 4095)),
    "TIFF, 16 bits": integers("<u2", 0, 65535),
    "TIFF, 16 bits, big-endian": integers(">u2", 0, 65535),
    "TIFF, 16 bits, white is zero": white_is_zero,
    "TIFF, 16 bits, signed": integers("<i2", -32768, 32767),
    "TIFF, 16 bits, signed, big-endian": integers(">i2", -32768, 32767),
    "TIFF, floats": floats("<f4"),
    "TIFF, floats, big-endian": floats(">f4"),
    "TIFF, floats, white is zero": white_is_zero_in_floats,
    "TIFF, floats, of Pillow": through_pillow("float32", 1),
}
WITHOUT: dict[str, tuple[Write, tuple[float, float]]] = {
    "TIFF, 32 bits": (integers("<u4", 0, 2**32 - 1), (0, 2**32 - 1)),
    "TIFF, 32 bits, signed": (integers("<i4", -(2**31), 2**31 - 1), (-(2**31), 2**31 - 1)),
    "TIFF, 32 bits, signed, big-endian": (integers(">i4", -1000, 64000), (-1000, 64000)),
    "TIFF, 32 bits, of Pillow": (through_pillow("int32", 65535), (0, 65535)),
    "TIFF, floats of bytes": (through_pillow("float32", 255), (0, 255)),
}
SUFFIX = {"PNG": ".png", "PGM": ".pgm", "TIF": ".tif"}


def write_folder(root: Path, write: Write, suffix: str, ramp: np.ndarray = RAMP) -> None:
    """Two classes of five images, the second one darker."""
    for name, scale in (("bright", 1.0), ("dim", 0.5)):
        (root / name).mkdir(parents=True)
        for index in range(5):
            write(root / name / f"{index}{suffix}", scale * ramp)


def load(root: Path, **given: tuple[float, float]) -> ImageData:
    return load_data(f"folder:{root}", root=Path("unused"), seed=0, **given)


@pytest.mark.parametrize("kind", WITH_A_RANGE)
def test_the_range_of_a_type_is_all_of_it(kind: str, tmp_path: Path) -> None:
    write_folder(tmp_path, WITH_A_RANGE[kind], SUFFIX[kind[:3]])
    data = load(tmp_path)
    assert data.train.images.shape[1:] == (1, 16, 16)
    levels = torch.arange(256).reshape(1, 16, 16)
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        expected = levels if label == 0 else levels / 2
        # What is stored is rounded, and the level of it: to half a step of each.
        assert (image - expected).abs().max() <= 0.5 + 255 / 4095 / 2
    assert not data.notes


@pytest.mark.parametrize("kind", WITHOUT)
def test_values_without_a_range_need_one(kind: str, tmp_path: Path) -> None:
    write, (low, high) = WITHOUT[kind]
    write_folder(tmp_path, write, SUFFIX[kind[:3]])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert f"--set 'data.range=[{low:d}, {high:d}]'" in str(caught.value)
    data = load(tmp_path, value_range=(low, high))
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        expected = torch.arange(256).reshape(1, 16, 16) * (1.0 if label == 0 else 0.5)
        assert (image - expected).abs().max() <= 0.5 + 1e-6
    assert not data.notes


@pytest.mark.parametrize("kind", [*WITH_A_RANGE, *WITHOUT])
def test_no_image_is_scaled_by_its_neighbours(kind: str, tmp_path: Path) -> None:
    """Nor by what else it shows: a pixel alone has the level that it has in the ramp."""
    if kind in WITHOUT:
        write, given = WITHOUT[kind]
    else:
        write, given = WITH_A_RANGE[kind], None
    names = {"whole": RAMP, "dark": np.full((16, 16), RAMP[4, 4])}
    levels = {}
    for name, ramp in names.items():
        path = tmp_path / f"{name}{SUFFIX[kind[:3]]}"
        write(path, ramp)
        levels[name] = decode(path, 1, None, given).pixels[4, 4, 0]
    assert levels["whole"] == levels["dark"] == 68


GREY_8_BITS = ("1", "L", "LA")
COLOURS = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "LAB")


@pytest.mark.parametrize(
    "mode", [*GREY_8_BITS, *COLOURS, pytest.param("YCbCr", marks=READ_SINCE_13)]
)
def test_modes_of_8_bits(mode: str, tmp_path: Path) -> None:
    """As Pillow converts them; LAB in the colours of sRGB."""
    ramp = np.broadcast_to(BYTES[..., None], (16, 16, 3))
    source = Image.fromarray(ramp.copy())
    if mode == "LAB":
        flat = np.full((16, 16), 128, np.uint8)
        image = Image.merge(
            "LAB", [Image.fromarray(each) for each in (ramp[..., 0].copy(), flat, flat)]
        )
    elif mode == "PA":
        image = source.convert("P").convert("PA")
    else:
        image = source.convert(mode)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(5):
            image.save(tmp_path / name / f"{index}.tif")
    data = load(tmp_path)
    channels = 1 if mode in GREY_8_BITS else 3
    assert data.train.images.shape[1:] == (channels, 16, 16)
    shown = data.train.images[0]
    # A palette of the web has 6 greys; L* is not linear in sRGB.
    fewer = {"1": 2, "P": 6, "PA": 6, "LAB": 200}
    if mode in fewer:
        assert len(shown.unique()) >= fewer[mode]
        assert (shown.min(), shown.max()) == (0, 255)
    else:
        # The way to YCbCr and back rounds.
        assert (shown.int() - torch.from_numpy(BYTES).int()).abs().max() <= (mode == "YCbCr")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_colours_of_16_bits(mode: str, tmp_path: Path) -> None:
    """PNG's, of which Pillow reads the high bytes."""
    n_channels = len(mode)
    values = np.full((16, 16, n_channels), 65535, ">u2")
    values[..., : n_channels - 1] = np.round(RAMP * 65535)[..., None]
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    colour = {"LA": 4, "RGBA": 6}[mode]
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    levels = decode(path, 3, None, None).pixels
    assert (levels[..., 0].ravel() == np.arange(256)).all()


def test_depths_together(tmp_path: Path) -> None:
    """8 and 16 bits, grey and colour: each by its own type."""
    write_folder(tmp_path, WITH_A_RANGE["PNG, 16 bits"], ".png")
    Image.fromarray(BYTES).save(tmp_path / "bright" / "8.png")
    Image.fromarray(BYTES).convert("RGB").save(tmp_path / "bright" / "9.png")
    data = load(tmp_path)
    images = torch.cat([data.train.images, data.validation.images, data.test.images])
    assert images.shape[1:] == (3, 16, 16)
    assert set(images.amax(dim=(1, 2, 3)).tolist()) == {255, 128}


def test_a_size_scales_what_is_deep(tmp_path: Path) -> None:
    write_folder(tmp_path, WITH_A_RANGE["PNG, 16 bits"], ".png")
    data = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0, size=8)
    assert data.train.images.shape[1:] == (1, 8, 8)
    assert len(data.train.images.unique()) > 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float, tmp_path: Path) -> None:
    write_folder(tmp_path, floats("<f4"), ".tif")
    ramp = RAMP.astype("<f4")
    ramp[3, 3] = bad
    write_array(tmp_path / "bright" / "3.tif", ramp)
    with pytest.raises(DataError, match=r"bright/3\.tif holds values that are not finite"):
        load(tmp_path)


def test_few_levels_are_noted(tmp_path: Path) -> None:
    """12 bits of a camera in a file of 16."""
    write_folder(tmp_path, integers("<u2", 0, 4095), ".tif")
    data = load(tmp_path)
    assert len(data.notes) == 1
    assert "go from 0 to 4095 and fill 17 of 256 levels" in data.notes[0]
    assert "--set 'data.range=[0, 4095]'" in data.notes[0]
    assert not load(tmp_path, value_range=(0, 4095)).notes


def test_values_beyond_the_range_given_are_noted(tmp_path: Path) -> None:
    write_folder(tmp_path, integers("<u2", 0, 65535), ".tif")
    data = load(tmp_path, value_range=(0, 1000))
    assert data.train.images.max() == 255
    (note,) = data.notes
    assert "go from 0 to 65535; 0 is black and 1000 white" in note


@pytest.mark.parametrize("name", ["folder", "digits"])
def test_a_range_that_nothing_has_a_use_for_is_noted(name: str, tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    chosen = f"folder:{tmp_path}" if name == "folder" else name
    data = load_data(chosen, root=Path("unused"), seed=0, value_range=(0.0, 1.0))
    assert data.notes == ("data.range has nothing to act on: no image is deeper than 8 bits",)


@pytest.mark.parametrize("mode", ["LA", "RGBA", pytest.param("La", marks=READ_SINCE_13), "P"])
def test_a_picture_in_the_alpha_channel_is_noted(mode: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(5):
            file = tmp_path / name / f"{index}.{'tif' if mode == 'La' else 'png'}"
            alpha = Image.fromarray(BYTES)
            if mode == "La":
                write_premultiplied(file, np.zeros_like(BYTES), BYTES)
            elif mode == "P":
                image = alpha.copy()
                image.putpalette(bytes(768))
                image.save(file, transparency=bytes(range(256)))
            else:
                image = Image.new(mode, (16, 16))
                image.putalpha(alpha)
                image.save(file)
    notes = load(tmp_path).notes
    assert len(notes) == 1
    assert (
        f"all 10 images in {tmp_path} are of a single colour, 10 of them with a picture" in notes[0]
    )


@READ_SINCE_13
def test_premultiplied_grey_is_divided_by_its_alpha(tmp_path: Path) -> None:
    half = np.full_like(BYTES, 127)
    write_premultiplied(tmp_path / "a.tif", BYTES // 2, half)
    levels = decode(tmp_path / "a.tif", 1, None, None).pixels[..., 0]
    # A level of the product is two of the quotient.
    assert (abs(levels.astype(int) - BYTES) <= 2).all()


def test_flat_images_are_noted(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    for name in ("a/1", "b/4"):
        Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / f"{name}.png")
    notes = load(tmp_path).notes
    assert notes == (f"2 of 10 images in {tmp_path} are of a single colour",)


def test_frames_beyond_the_first_are_noted(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    first, second = (Image.open(tmp_path / "a" / f"{n}.png") for n in (0, 1))
    first.save(tmp_path / "a" / "9.tif", save_all=True, append_images=[second])
    notes = load(tmp_path).notes
    assert notes == (f"1 of 11 images in {tmp_path} hold several frames; the first is read",)
