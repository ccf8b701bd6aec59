"""The strokes of Label Studio's brush: RGBA pictures, packed bit by bit.

A stream of bits: how many values there are (32 bits), bits a value less 1 (5), four widths of lengths less 1 (4 each); then
blocks of a flag, the number of one of the widths (2 bits), a length less 1 of that width, and, by the flag, one value for all
or as many values. Values are the channels of pixel after pixel, row by row; what is not transparent is inside.

Source: HumanSignal/label-studio-converter, label_studio_converter/brush.py; thi-ng/umbrella, packages/rle-pack.
"""

import numpy as np

from fullconv.data.shapes.runs import to_counts
from fullconv.errors import DataError

HEAD_BITS = 32 + 5 + 4 * 4
VALUE_BITS = 8
WIDTHS = (3, 4, 8, 16)
"""The widths of lengths that Label Studio writes."""


def decode(packed: bytes, size_hw: tuple[int, int]) -> np.ndarray:
    """The mask of a stroke: (H, W) bool.

    Raises:
        DataError: it is cut short, or made for a picture of another size.
    """
    num_values = 4 * size_hw[0] * size_hw[1]
    if 8 * len(packed) < HEAD_BITS:
        raise DataError(f"is cut short after {len(packed)} bytes; expected more of them")
    stream = packed + bytes(8)  # so that the last block can be read like the others
    found, value_bits = _bits(stream, 0, 32), _bits(stream, 32, 5) + 1
    widths = [_bits(stream, 37 + 4 * number, 4) + 1 for number in range(4)]
    if found != num_values or value_bits != VALUE_BITS:
        raise DataError(
            f"got {found} values of {value_bits} bits, expected {num_values} of {VALUE_BITS} for "
            f"{size_hw[0]} x {size_hw[1]} pixels"
        )
    values, at, bit = np.zeros(num_values, np.uint8), 0, HEAD_BITS
    while at < num_values:
        word = _bits(stream, bit, 32)  # a whole block of one value: at most 3 + 16 + 8 bits
        repeated, width = word >> 31, widths[word >> 29 & 3]
        length = (word >> 29 - width & (1 << width) - 1) + 1
        bit += 3 + width
        end = bit + VALUE_BITS * (1 if repeated else length)
        if end > 8 * len(packed):
            raise DataError(f"is cut short after {len(packed)} bytes; expected more of them")
        if at + length > num_values:
            raise DataError(f"its blocks hold more than {num_values} values")
        value = word >> 21 - width & 255
        values[at : at + length] = value if repeated else _bytes(stream, bit, length)
        at, bit = at + length, end
    return values[3::4].reshape(size_hw) > 0


def encode(mask: np.ndarray) -> list[int]:
    """A mask as a stroke in the bytes that Label Studio reads: 255 in all four channels inside, 0 outside.

    Args:
        mask: (H, W) bool.
    """
    bits = [f"{4 * mask.size:032b}", f"{VALUE_BITS - 1:05b}", *(f"{width - 1:04b}" for width in WIDTHS)]
    for index, run in enumerate(to_counts(mask.ravel()).tolist()):
        value = "11111111" if index % 2 else "00000000"
        left = 4 * run
        while left:
            number = next((n for n, width in enumerate(WIDTHS) if left <= 2**width), 3)
            length = min(left, 2 ** WIDTHS[number])
            bits.append(f"1{number:02b}{length - 1:0{WIDTHS[number]}b}{value}")
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _bits(stream: bytes, start: int, width: int) -> int:
    """A whole number of at most 32 bits, the highest first."""
    first = start >> 3
    return int.from_bytes(stream[first : first + 5], "big") >> (40 - (start & 7) - width) & ((1 << width) - 1)


def _bytes(stream: bytes, start: int, count: int) -> np.ndarray:
    """(count,) uint8, wherever in a byte they begin."""
    first, shift = divmod(start, 8)
    source = np.frombuffer(stream, np.uint8, count + 1, first).astype(np.uint16)
    return ((source[:-1] << 8 | source[1:]) >> (8 - shift) & 255).astype(np.uint8)
