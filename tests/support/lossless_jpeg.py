"""Writes one-component lossless JPEG streams (ITU-T T.81 Annex H) as some scanners do and DCMTK does not.

    stream = lossless_jpeg(pixels, precision=12, wrap=True)

`wrap=True` codes each difference of more than half the range by its equal modulo the range, as Philips and Samsung
encoders do (pylibjpeg-libjpeg issue 90). Predictor 1 only; one fixed Huffman table of 17 codes.
"""

import struct

import numpy as np


def lossless_jpeg(pixels: np.ndarray, precision: int, *, wrap: bool = False, restart_rows: int = 0) -> bytes:
    """(rows, columns) unsigned samples of `precision` bits -> a JPEG stream (SOF3, selection value 1)."""
    rows, columns = pixels.shape
    codes = _codes()
    out = bytearray(b"\xff\xd8")
    counts = [sum(1 for length, _ in codes.values() if length == n) for n in range(1, 17)]
    symbols = bytes(sorted(codes, key=lambda category: (codes[category][0], codes[category][1])))
    out += b"\xff\xc4" + struct.pack(">HB", 19 + len(symbols), 0) + bytes(counts) + symbols
    out += b"\xff\xc3" + struct.pack(">HBHHB", 11, precision, rows, columns, 1) + bytes([1, 0x11, 0])
    if restart_rows:
        out += b"\xff\xdd" + struct.pack(">HH", 4, restart_rows * columns)
    out += b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 1, 0, 0])
    step = restart_rows or rows
    for number, first in enumerate(range(0, rows, step)):
        if number:
            out += bytes([0xFF, 0xD0 + (number - 1) % 8])
        out += _entropy_coded(pixels[first : first + step].astype(int), precision, wrap, codes)
    return bytes(out + b"\xff\xd9")


def _codes() -> dict[int, tuple[int, int]]:
    """category -> (length, code): canonical, 17 of them, none all ones."""
    lengths = {
        0: 3,
        1: 3,
        2: 3,
        3: 3,
        4: 3,
        5: 4,
        6: 4,
        7: 5,
        8: 5,
        9: 6,
        10: 6,
        11: 7,
        12: 7,
        13: 8,
        14: 8,
        15: 9,
        16: 9,
    }
    codes, code, previous = {}, 0, 0
    for category, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        code <<= length - previous
        codes[category] = (length, code)
        code, previous = code + 1, length
    return codes


def _entropy_coded(pixels: np.ndarray, precision: int, wrap: bool, codes: dict[int, tuple[int, int]]) -> bytes:
    predicted = np.empty_like(pixels)
    predicted[0, 0] = 1 << (precision - 1)
    predicted[0, 1:] = pixels[0, :-1]
    predicted[1:, 0] = pixels[:-1, 0]
    predicted[1:, 1:] = pixels[1:, :-1]
    differences = pixels - predicted
    if wrap:
        full = 1 << precision
        differences = np.where(differences > 0, differences - full, differences)
        differences[differences == -full] = 0
    differences = 32768 - (32768 - differences) % 65536  # -32767 to 32768, modulo 65536
    bits = []
    for difference in (int(d) for d in differences.ravel()):
        category = abs(difference).bit_length()
        length, code = codes[category]
        bits.append(format(code, f"0{length}b"))
        if category and category < 16:
            extra = difference if difference > 0 else difference + (1 << category) - 1
            bits.append(format(extra, f"0{category}b"))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
