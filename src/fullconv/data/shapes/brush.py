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
    bits = _Bits(packed)
    found, value_bits = bits.read(32), bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in range(4)]
    if found != num_values or value_bits != VALUE_BITS:
        raise DataError(
            f"got {found} values of {value_bits} bits, expected {num_values} of {VALUE_BITS} for "
            f"{size_hw[0]} x {size_hw[1]} pixels"
        )
    values, at = np.zeros(num_values, np.uint8), 0
    while at < num_values:
        repeated = bits.read(1)
        length = bits.read(widths[bits.read(2)]) + 1
        if at + length > num_values:
            raise DataError(f"its blocks hold more than {num_values} values")
        values[at : at + length] = bits.read(VALUE_BITS) if repeated else bits.read_bytes(length)
        at += length
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


class _Bits:
    """Reads whole numbers from a stream of bits, the highest bit first."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.at = 0

    def read(self, width: int) -> int:
        end = self.at + width
        if end > 8 * len(self.packed):
            raise DataError(f"is cut short after {len(self.packed)} bytes; expected more of them")
        number = int.from_bytes(self.packed[self.at // 8 : -(-end // 8)], "big")
        self.at = end
        return (number >> (-end % 8)) & ((1 << width) - 1)

    def read_bytes(self, count: int) -> np.ndarray:
        """(count,) uint8, wherever in a byte they begin."""
        begin, shift = divmod(self.at, 8)
        self.at += 8 * count
        if self.at > 8 * len(self.packed):
            raise DataError(f"is cut short after {len(self.packed)} bytes; expected more of them")
        source = np.frombuffer(self.packed + b"\0", np.uint8)[begin : begin + count + 1].astype(np.uint16)
        return ((source[:-1] << 8 | source[1:]) >> (8 - shift) & 255).astype(np.uint8)
