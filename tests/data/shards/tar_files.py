"""Tar files that tests make, and break."""

import io
import tarfile
from pathlib import Path

import numpy as np

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "/".join(["a folder with a name of some length"] * 4) + "/picture.jpg"


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, linkname: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, linkname
    return info


def pack(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files.items():
            tar.addfile(member(name, content), io.BytesIO(content))
    return path


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, cut out, doubled, or the end cut off."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(len(changed) or 1))
        kind = rng.integers(5)
        if kind < 2:
            changed[place : place + 1] = bytes([rng.integers(256)])
        elif kind == 2:
            changed[place : place + int(rng.integers(1, 600))] = b""
        elif kind == 3:
            changed[place:place] = changed[place : place + int(rng.integers(1, 600))]
        else:
            del changed[place:]
    return bytes(changed)
