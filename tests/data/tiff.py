"""TIFF files of every kind of grey value, which Pillow reads and does not write."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_SHORT, _LONG = 3, 4


def write_tiff(
    path: Path,
    content: bytes,
    size: tuple[int, int],
    *,
    bits: int,
    sample_format: int = 1,
    order: str = "<",
    photometric: int = 1,
    extra: tuple[int, ...] = (),
) -> None:
    """One strip of grey values, (width, height) of them; tags as TIFF 6.0 has them."""
    width, height = size
    n_samples = 1 + len(extra)
    tags = [
        (256, _LONG, width),
        (257, _LONG, height),
        (258, _SHORT, (bits,) * n_samples),
        (259, _SHORT, 1),
        (262, _SHORT, photometric),
        (273, _LONG, 8 + 2 + (10 + bool(extra)) * 12 + 4),
        (277, _SHORT, n_samples),
        (278, _LONG, height),
        (279, _LONG, len(content)),
        *([(338, _SHORT, extra)] if extra else []),
        (339, _SHORT, (sample_format,) * n_samples),
    ]
    file = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    for tag, kind, value in tags:
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        file += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    path.write_bytes(file + struct.pack(f"{order}I", 0) + content)


def write_array(path: Path, values: np.ndarray, *, photometric: int = 1) -> None:
    """Values (H, W) as they are, in their dtype and byte order."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    order = "<" if values.dtype.newbyteorder("=") == values.dtype else ">"
    height, width = values.shape
    write_tiff(
        path, values.tobytes(), (width, height), bits=8 * values.itemsize,
        sample_format=kind, order=order, photometric=photometric,
    )  # fmt: skip


def write_12_bits(path: Path, values: np.ndarray) -> None:
    """Pairs of values in three bytes."""
    first, second = values.reshape(-1, 2).astype(np.uint16).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    height, width = values.shape
    write_tiff(path, packed.astype(np.uint8).tobytes(), (width, height), bits=12)


def write_premultiplied(path: Path, grey: np.ndarray, alpha: np.ndarray) -> None:
    """Grey of 8 bits that was multiplied by its alpha."""
    height, width = grey.shape
    content = np.stack([grey, alpha], axis=-1).astype(np.uint8).tobytes()
    write_tiff(path, content, (width, height), bits=8, extra=(1,))
