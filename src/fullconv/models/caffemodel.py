"""The weights in a .caffemodel file, read without Caffe and without generated code.

The file is one protocol-buffer message. This reader knows the few fields that hold weights and skips all others:

    NetParameter        layer = 100 (LayerParameter), layers = 2 (V1LayerParameter, before 2015)
    LayerParameter      name = 1, blobs = 7
    V1LayerParameter    name = 4, blobs = 6
    BlobProto           shape = 7, or num = 1, channels = 2, height = 3, width = 4; data = 5, double_data = 8
    BlobShape           dim = 1

Nothing is executed, no size in the file is trusted before it is compared with the bytes there are, and weights are
views of the mapped file: a model of 500 MB takes no memory until its weights are copied.

Source: src/caffe/proto/caffe.proto in github.com/BVLC/caffe; protobuf.dev/programming-guides/encoding.
"""

import math
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fullconv.errors import InputError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MOST_FIELDS = 200_000
MOST_AXES = 32
RUN = 4096


class Field(NamedTuple):
    """One field of a message, or a run of equal numbered fields of fixed width.

    Attributes:
        number: which field of its message.
        kind: its wire type.
        start, end: the bytes of its content; of a run: its first tag's last byte, and behind its last number.
        value: of a varint.
    """

    number: int
    kind: int
    start: int
    end: int
    value: int = 0


def read_caffemodel(file: Path) -> dict[str, list[np.ndarray]]:
    """The weights of each layer that has any.

    Returns:
        Layer name -> its blobs, float32 or float64 in the shapes that the file gives; mostly weight, then bias. They are
        views of the file; changing them does not change it.

    Raises:
        InputError: the file is absent, damaged, or no Caffe model.
    """
    try:
        with file.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}); expected a .caffemodel file") from None
    reader = WireReader(file, data)
    layers: dict[str, list[np.ndarray]] = {}
    for field in reader.fields(0, len(data)):
        if field.kind != LENGTH or field.number not in (100, 2):
            continue
        name_field, blobs_field = (1, 7) if field.number == 100 else (4, 6)
        name, blobs = "", []
        for part in reader.fields(field.start, field.end):
            if part.kind == LENGTH and part.number == name_field:
                name = data[part.start : part.end].decode("utf-8", errors="replace")
            elif part.kind == LENGTH and part.number == blobs_field:
                blobs.append(reader.blob(part))
        if blobs and name in layers:
            raise reader.damaged(f"it has two layers {name!r} with weights")
        if blobs:
            layers[name] = blobs
    if not layers:
        raise reader.damaged("no layer in it has weights")
    return layers


class WireReader:
    """Walks the fields of protocol-buffer messages in `data`, never beyond their ends."""

    def __init__(self, file: Path, data: mmap.mmap) -> None:
        self.file = file
        self.data = data
        self.fields_left = MOST_FIELDS

    def damaged(self, reason: str) -> InputError:
        return InputError(
            f"{self.file} is damaged or no .caffemodel: {reason}; expected trained weights as Caffe saves them; "
            "copy or download the file again"
        )

    def fields(self, at: int, end: int) -> Iterator[Field]:
        """The fields of the message in bytes `at` to `end`."""
        while at < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise self.damaged(f"it has more than {MOST_FIELDS} fields")
            tag, start = self.varint(at, end)
            number, kind = tag >> 3, tag & 7
            if kind == VARINT:
                value, at = self.varint(start, end)
                yield Field(number, kind, start, at, value)
                continue
            if kind == LENGTH:
                size, start = self.varint(start, end)
                at = start + size
            elif kind in (FIXED32, FIXED64):
                start -= 1
                at = start + self.run(start, end, 5 if kind == FIXED32 else 9)
            else:
                raise self.damaged(f"unknown wire type {kind} at byte {at}")
            if at > end:
                raise self.damaged(f"field {number} at byte {start} ends {at - end} bytes behind its message")
            yield Field(number, kind, start, at)

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """The number at byte `at` and where the next field begins."""
        value = 0
        for shift, position in enumerate(range(at, min(at + 10, end))):
            byte = self.data[position]
            value |= (byte & 127) << 7 * shift
            if byte < 128:
                return value, position + 1
        raise self.damaged(f"byte {at} begins a number that does not end")

    def run(self, at: int, end: int, width: int) -> int:
        """Bytes of a run of fields with equal one-byte tags, `RUN` fields at most: old files tag each single weight."""
        count = min((end - at) // width, RUN)
        if count == 0:
            return width
        tags = np.frombuffer(self.data, np.uint8, count * width, at)[::width]
        same = tags == tags[0]
        return width * (count if same.all() else int(same.argmin()))

    def blob(self, field: Field) -> np.ndarray:
        """A BlobProto as an array."""
        data: dict[int, list[np.ndarray]] = {5: [], 8: []}
        legacy, shape = [1, 1, 1, 1], None
        for part in self.fields(field.start, field.end):
            if part.number == 5 and part.kind in (LENGTH, FIXED32):
                data[5].append(self.numbers(part, np.dtype("<f4")))
            elif part.number == 8 and part.kind in (LENGTH, FIXED64):
                data[8].append(self.numbers(part, np.dtype("<f8")))
            elif part.number == 7 and part.kind == LENGTH:
                shape = self.dims(part)
            elif part.number in (1, 2, 3, 4) and part.kind == VARINT:
                legacy[part.number - 1] = part.value
        chunks = data[5] or data[8] or [np.zeros(0, np.float32)]
        numbers = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        wanted = legacy if shape is None else shape
        if numbers.size == 0 or math.prod(wanted) != numbers.size:
            raise self.damaged(f"a blob of shape {wanted} at byte {field.start} has {numbers.size} numbers")
        return numbers.reshape(wanted)

    def numbers(self, field: Field, dtype: np.dtype) -> np.ndarray:
        size = field.end - field.start
        if field.kind == LENGTH:
            if size % dtype.itemsize:
                raise self.damaged(f"{size} bytes at byte {field.start} are no whole number of weights")
            return np.frombuffer(self.data, dtype, size // dtype.itemsize, field.start)
        rows = np.frombuffer(self.data, np.uint8, size, field.start).reshape(-1, 1 + dtype.itemsize)
        return rows[:, 1:].copy().view(dtype).ravel()

    def dims(self, field: Field) -> list[int]:
        """A BlobShape's sizes, packed or one by one."""
        dims: list[int] = []
        for part in self.fields(field.start, field.end):
            if part.number == 1 and part.kind == VARINT:
                dims.append(part.value)
            at = part.start
            while part.number == 1 and part.kind == LENGTH and at < part.end:
                value, at = self.varint(at, part.end)
                dims.append(value)
                if len(dims) > MOST_AXES:
                    break
        if len(dims) > MOST_AXES:
            raise self.damaged(f"a blob at byte {field.start} has more than {MOST_AXES} axes")
        return dims
