"""The headers of JPEG, JPEG-LS and JPEG 2000 codestreams: size and precision, read before a decoder sees the bytes.

Called by decode and jpeg_lossless. ITU-T T.81 B.2.2 (SOF), T.87 C.2.2 (SOF55), T.800 A.5.1 (SIZ).
"""

import struct
from dataclasses import dataclass

_START = {0xC3: "lossless", 0xF7: "JPEG-LS"}
"""SOF3 and SOF55; every other start of frame is lossy or arithmetic coded."""
_OTHER_STARTS = {*range(0xC0, 0xD0)} - {0xC3, 0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length: TEM, RST0-7, SOI."""
_MAXIMUM_TILES = 4096


@dataclass(frozen=True, kw_only=True)
class CodestreamHeader:
    """What the codestream itself says of the image."""

    rows: int
    columns: int
    components: int
    precision_bits: int


def jpeg_header(stream: bytes) -> CodestreamHeader:
    """The frame header of a lossless JPEG or a JPEG-LS stream. Raises ValueError where there is none or a lossy one."""
    for marker, start, _ in jpeg_segments(stream):
        if marker in _START:
            precision, rows, columns, components = struct.unpack_from(">BHHB", stream, start)
            return CodestreamHeader(rows=rows, columns=columns, components=components, precision_bits=precision)
        if marker in _OTHER_STARTS:
            raise ValueError("the JPEG stream is not of a lossless process")
        if marker == 0xDA:
            break
    raise ValueError("the JPEG stream has no frame header")


def jpeg_segments(stream: bytes) -> list[tuple[int, int, int]]:
    """(marker, first byte of its content, end of its content) up to and with the first SOS. Raises ValueError."""
    if stream[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG stream")
    found, at = [], 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            raise ValueError("the JPEG stream is damaged")
        marker = stream[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = struct.unpack_from(">H", stream, at + 2)[0]
        if length < 2 or at + 2 + length > len(stream):
            raise ValueError("the JPEG stream is truncated")
        found.append((marker, at + 4, at + 2 + length))
        if marker == 0xDA:
            break
        at += 2 + length
    return found


def jpeg2000_header(stream: bytes) -> CodestreamHeader:
    """The SIZ segment of a JPEG 2000 codestream (or one in a JP2 box). Raises ValueError where there is none."""
    at = 0 if stream[:4] == b"\xff\x4f\xff\x51" else stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0 or len(stream) < at + 43:
        raise ValueError("not a JPEG 2000 codestream")
    x1, y1, x0, y0, tile_x, tile_y = struct.unpack_from(">6I", stream, at + 8)
    components, depth = struct.unpack_from(">HB", stream, at + 40)
    if not tile_x or not tile_y or -(-x1 // tile_x) * -(-y1 // tile_y) > _MAXIMUM_TILES:
        raise ValueError("the JPEG 2000 codestream has too many tiles")
    return CodestreamHeader(rows=y1 - y0, columns=x1 - x0, components=components, precision_bits=(depth & 0x7F) + 1)
