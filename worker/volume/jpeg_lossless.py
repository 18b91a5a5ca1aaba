"""An exact decoder of one-component lossless JPEG (ITU-T T.81 Annex H), in numpy: slower than pylibjpeg, and right.

Called by decode where pylibjpeg may have clamped what H.2.1 wraps modulo 65536 (pylibjpeg-libjpeg #90). All codes of a
scan are found at once: at every bit the length of a code that would start there is looked up, and the chain of the
codes that do start is followed by doubling its known part.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.volume.codestream import jpeg_header, jpeg_segments

_Ints = NDArray[np.int64]
_DHT, _DRI, _SOS = 0xC4, 0xDD, 0xDA


@dataclass(frozen=True, kw_only=True)
class _Scan:
    lengths: _Ints
    """(65536,): length of the code that begins a 16-bit window, 0 where none does."""
    categories: _Ints
    """(65536,): the category SSSS of that code (H.1.2.2): how many bits of difference follow."""
    predictor: int
    point_transform: int
    restart_symbols: int
    start: int
    """Offset of the entropy-coded data."""


def decode_jpeg_lossless(stream: bytes) -> NDArray[np.uint16]:
    """(rows, columns) samples, reduced to the precision of the frame header. Raises ValueError on a damaged stream."""
    header, scan = jpeg_header(stream), _read_scan(stream)
    intervals = _intervals(stream[scan.start :])
    wanted = header.rows * header.columns
    each = scan.restart_symbols or wanted
    if each % header.columns or len(intervals) < -(-wanted // each):
        raise ValueError("the restart intervals of the lossless JPEG do not fit its size")
    parts = []
    for number, begin in enumerate(range(0, wanted, each)):
        differences = _differences(intervals[number], scan, min(each, wanted - begin)).reshape(-1, header.columns)
        start = 1 << (header.precision_bits - scan.point_transform - 1)
        parts.append(_integrate(differences, scan.predictor, start))
    samples = (np.vstack(parts) << scan.point_transform) & ((1 << header.precision_bits) - 1)
    return samples.astype(np.uint16)


def point_transform(stream: bytes) -> int:
    """By how many bits the samples were shifted before coding (T.81 H.1.1): 0 in truly lossless streams."""
    return _read_scan(stream).point_transform


def _read_scan(stream: bytes) -> _Scan:
    tables: dict[int, tuple[_Ints, _Ints]] = {}
    restart = 0
    for marker, start, end in jpeg_segments(stream):
        if marker == _DHT:
            tables |= _huffman_tables(stream[start:end])
        elif marker == _DRI:
            restart = struct.unpack_from(">H", stream, start)[0]
        elif marker == _SOS:
            components, _, table, predictor, _, transform = struct.unpack_from(">6B", stream, start)
            if components != 1 or table >> 4 not in tables or not 1 <= predictor <= 7:
                raise ValueError("the scan of the lossless JPEG is not one of a single component")
            lengths, categories = tables[table >> 4]
            return _Scan(
                lengths=lengths, categories=categories, predictor=predictor, point_transform=transform & 15,
                restart_symbols=restart, start=end,
            )  # fmt: skip
    raise ValueError("the lossless JPEG has no scan")


def _huffman_tables(segment: bytes) -> dict[int, tuple[_Ints, _Ints]]:
    """T.81 Annex C: codes of one length are consecutive; each fills its part of the 16-bit windows."""
    tables, at = {}, 0
    while at + 17 <= len(segment):
        counts = segment[at + 1 : at + 17]
        symbols = segment[at + 17 : at + 17 + sum(counts)]
        lengths, categories = np.zeros(65536, dtype=np.int64), np.zeros(65536, dtype=np.int64)
        window, symbol = 0, iter(symbols)
        for length, count in enumerate(counts, start=1):
            for category in (next(symbol, 255) for _ in range(count)):
                width = 1 << (16 - length)
                if category > 16 or window + width > 65536:
                    raise ValueError("a Huffman table of the lossless JPEG is damaged")
                lengths[window : window + width], categories[window : window + width] = length, category
                window += width
        tables[segment[at] & 15] = (lengths, categories)
        at += 17 + sum(counts)
    return tables


def _intervals(data: bytes) -> list[bytes]:
    """The entropy-coded data, cut at RST markers and at the end, with stuffed zero bytes removed (F.1.2.3)."""
    octets = np.frombuffer(data, dtype=np.uint8)
    marks = np.flatnonzero((octets[:-1] == 0xFF) & (octets[1:] != 0x00) & (octets[1:] != 0xFF))
    pieces, begin = [], 0
    for mark in (int(m) for m in marks):
        pieces.append(data[begin:mark].rstrip(b"\xff").replace(b"\xff\x00", b"\xff"))
        begin = mark + 2
        if not 0xD0 <= data[mark + 1] <= 0xD7:
            return pieces
    return [*pieces, data[begin:].replace(b"\xff\x00", b"\xff")]


def _differences(coded: bytes, scan: _Scan, count: int) -> _Ints:
    padded = np.frombuffer(coded + b"\xff" * 8, dtype=np.uint8).astype(np.int64)
    octets = len(coded)
    words = sum((padded[k : k + octets] << (32 - 8 * k)) for k in range(5))
    windows = np.stack([(words >> (8 - bit)) & 0xFFFFFFFF for bit in range(8)], axis=1).ravel()
    lengths = scan.lengths[windows >> 16]
    categories = scan.categories[windows >> 16]
    extra = np.where(categories == 16, 0, categories)
    at = _chain(np.where(lengths > 0, lengths + extra, 0), count)
    lengths, categories, extra = lengths[at], categories[at], extra[at]
    bits = (windows[at] >> (32 - lengths - extra)) & ((1 << extra) - 1)
    negative = (extra > 0) & (bits < (1 << np.maximum(extra - 1, 0)))
    signed = np.where(negative, bits - (1 << extra) + 1, bits)
    return np.where(categories == 16, 32768, signed)


def _chain(steps: _Ints, count: int) -> _Ints:
    """Where the first `count` codes begin, given how far each bit's code would reach. Raises ValueError."""
    end = len(steps)
    leap = np.minimum(np.arange(end + 1) + np.append(steps, 0), end)
    at = np.zeros(1, dtype=np.int64)
    while len(at) < count:
        at = np.concatenate([at, leap[at]])[:count]
        leap = leap[leap]
    if at[-1] >= end or (np.diff(at) <= 0).any() or steps[at[-1]] == 0:
        raise ValueError("the entropy-coded data of the lossless JPEG is damaged or ends early")
    return at


def _integrate(differences: _Ints, predictor: int, start: int) -> _Ints:
    """Undo the prediction modulo 65536 (H.1.2.1): first line from the left, first column from above."""
    samples = differences.copy()
    samples[0, 0] += start
    samples[0] = np.cumsum(samples[0])
    samples[:, 0] = np.cumsum(samples[:, 0])
    if predictor == 1:
        samples[1:] = np.cumsum(samples[1:], axis=1)
        return samples & 0xFFFF
    samples &= 0xFFFF
    rows, columns = samples.shape
    for diagonal in range(2, rows + columns - 1):
        y = np.arange(max(1, diagonal - columns + 1), min(rows - 1, diagonal - 1) + 1)
        x = diagonal - y
        left, above, corner = samples[y, x - 1], samples[y - 1, x], samples[y - 1, x - 1]
        samples[y, x] = (samples[y, x] + _predict(predictor, left, above, corner)) & 0xFFFF
    return samples


def _predict(predictor: int, left: _Ints, above: _Ints, corner: _Ints) -> _Ints:
    """T.81 Table H.1."""
    match predictor:
        case 2:
            return above
        case 3:
            return corner
        case 4:
            return left + above - corner
        case 5:
            return left + ((above - corner) >> 1)
        case 6:
            return above + ((left - corner) >> 1)
        case _:
            return (left + above) >> 1
