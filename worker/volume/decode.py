"""Pixel data to arrays, bounded: what headers promise is checked before anything is decoded (PS3.5 8, A.4).

Called by read. Native, RLE and the lossless forms of JPEG, JPEG-LS and JPEG 2000; nothing lossy, nothing deflated.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from worker.errors import SeriesRefused
from worker.volume.codestream import CodestreamHeader, jpeg2000_header, jpeg_header
from worker.volume.jpeg_lossless import decode_jpeg_lossless, point_transform

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
COMPRESSED = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
TRANSFER_SYNTAXES = (*NATIVE, *COMPRESSED)
_RLE_BEST = 64
"""RLE turns two bytes into at most 128 (PS3.5 G.3.1)."""
_FAULTS = (ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError, LookupError, OSError, struct.error)
"""What pydicom and its decoders raise on damaged pixel data."""


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """What a series may be at most; a brain MR is far below each."""

    rows_or_columns: int = 2048
    voxels: int = 300_000_000
    """Of the whole series: 1.2 GB as float32."""


def check_size(datasets: list[Any], limits: DecodeLimits) -> None:
    """Refuse a series whose headers promise more than the limits, before any pixel is touched. Raises SeriesRefused."""
    total = 0
    for ds in datasets:
        rows, columns, frames = int(ds.Rows), int(ds.Columns), int(ds.get("NumberOfFrames") or 1)
        if not (0 < rows <= limits.rows_or_columns and 0 < columns <= limits.rows_or_columns and frames > 0):
            raise SeriesRefused(f"an image claims {frames} x {rows} x {columns} pixels, beyond the limit")
        total += rows * columns * frames
    if total > limits.voxels:
        raise SeriesRefused(
            f"the series claims {total / 1e6:.0f} million voxels, beyond the limit of {limits.voxels / 1e6:.0f}"
        )


def decode(ds: Any) -> NDArray[Any]:
    """(frames, rows, columns) stored values of one MONOCHROME data set, in its own integer type, unused bits cleared.

    `check_size` must have passed. Raises SeriesRefused with the reason on damaged or inconsistent pixel data.
    """
    shape = (int(ds.get("NumberOfFrames") or 1), int(ds.Rows), int(ds.Columns))
    syntax = ds.file_meta.TransferSyntaxUID
    try:
        frames = _native(ds, shape) if syntax in NATIVE else np.stack(list(_decompressed(ds, shape)))
    except _FAULTS as error:
        raise SeriesRefused(f"the pixel data cannot be decoded ({syntax.name})") from error
    if frames.shape != shape:
        raise SeriesRefused("the decoded pixel data has another size than the header says")
    return _stored_values(frames, ds)


def _native(ds: Any, shape: tuple[int, int, int]) -> NDArray[Any]:
    wanted = shape[0] * shape[1] * shape[2] * int(ds.BitsAllocated) // 8
    if len(ds.PixelData) < wanted:
        raise SeriesRefused("the pixel data is shorter than the header says: the object is truncated")
    return np.frombuffer(ds.PixelData, dtype=_dtype(ds), count=shape[0] * shape[1] * shape[2]).reshape(shape)


def _decompressed(ds: Any, shape: tuple[int, int, int]) -> Iterator[NDArray[Any]]:
    syntax = ds.file_meta.TransferSyntaxUID
    streams = list(generate_frames(ds.PixelData, number_of_frames=shape[0]))
    if len(streams) != shape[0]:
        raise SeriesRefused(f"the pixel data holds {len(streams)} frames, the header says {shape[0]}")
    for stream in streams:
        _check_stream(stream, ds, syntax)
    decoded = get_decoder(syntax).iter_array(ds, raw=True, decoding_plugin=_plugin(syntax))
    for stream, (frame, _) in zip(streams, decoded, strict=True):
        if syntax in (JPEGLossless, JPEGLosslessSV1) and _may_be_wrong(stream, frame, int(ds.BitsStored)):
            yield decode_jpeg_lossless(stream).astype(frame.dtype)
        else:
            yield frame


def _plugin(syntax: str) -> str:
    """pylibjpeg, but for RLE: on damaged data pylibjpeg-rle ends in a Rust panic, which is no Exception."""
    return "pydicom" if syntax == RLELossless else "pylibjpeg"


def _may_be_wrong(stream: bytes, frame: NDArray[Any], bits_stored: int) -> bool:
    """Whether pylibjpeg-libjpeg may have gone wrong, which it does silently: it clamps to the largest sample where T.81
    H.2.1 wraps modulo 65536 (its issue 90), and it mistakes the range where a point transform is used (seen in a test).
    """
    header = jpeg_header(stream)
    largest = (1 << min(header.precision_bits, bits_stored)) - 1
    unsigned = frame.view(f"u{frame.dtype.itemsize}")
    return point_transform(stream) != 0 or bool((unsigned & largest == largest).any())


def _check_stream(stream: bytes, ds: Any, syntax: str) -> None:
    if syntax == RLELossless:
        wanted = int(ds.Rows) * int(ds.Columns) * int(ds.BitsAllocated) // 8
        if len(stream) * _RLE_BEST < wanted:
            raise SeriesRefused("the RLE data is too short for the size that the header says")
        return
    parse: Callable[[bytes], CodestreamHeader] = jpeg2000_header if syntax == JPEG2000Lossless else jpeg_header
    header = parse(stream)
    if (header.rows, header.columns, header.components) != (int(ds.Rows), int(ds.Columns), 1):
        raise SeriesRefused(
            f"the compressed image is {header.rows} x {header.columns} x {header.components}, "
            f"the header says {ds.Rows} x {ds.Columns} x 1"
        )
    if header.precision_bits > int(ds.BitsAllocated):
        raise SeriesRefused(
            f"the compressed image has {header.precision_bits} bits, the header allows {ds.BitsAllocated}"
        )


def _dtype(ds: Any) -> np.dtype[Any]:
    return np.dtype(f"<{'i' if int(ds.PixelRepresentation) else 'u'}{int(ds.BitsAllocated) // 8}")


def _stored_values(frames: NDArray[Any], ds: Any) -> NDArray[Any]:
    """Only the stored bits: old overlays live in the unused high ones (PS3.5 8.1.1)."""
    allocated, stored, high = int(ds.BitsAllocated), int(ds.BitsStored), int(ds.HighBit)
    if stored == allocated:
        return frames
    left = allocated - 1 - high
    typed = frames.astype(_dtype(ds), copy=False)
    values: NDArray[Any] = (typed << left) >> (allocated - stored)
    return values
