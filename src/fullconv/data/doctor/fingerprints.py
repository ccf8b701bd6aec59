"""Telling that two pictures are the same, or nearly so.

Two pictures are the same when all their pixels are; a digest says so. Whether they are nearly the same, say after
JPEG, scaling, or with more light, a fingerprint says: the signs of the 256 lowest frequencies of the picture's
discrete cosine transform, but for the mean. Fingerprints of unrelated pictures differ in half of their bits.
Mirroring a picture changes the sign of each odd horizontal frequency and of nothing else, so that the
fingerprint of the mirrored picture follows from its own.

Source: the idea of signs of low DCT frequencies: Zauner 2010, "Implementation and Benchmarking of Perceptual Image
Hash Functions", section 3.2.2; `RADIUS` and all figures are measured here (docs/data_check.md).
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE = 64
"""Pictures are shrunk to so many rows and columns."""

FREQUENCIES = 16
"""Of each direction."""

RADIUS = 31
"""Fingerprints that differ in at most so many of 256 bits are of nearly the same picture."""

FLAT = 2.0
"""Pictures whose grey, shrunk, has a lower standard deviation than this show nothing that could be compared."""

CHUNK_BITS = 16
NUM_CHUNKS = FREQUENCIES**2 // CHUNK_BITS
CROWD = 512
"""Of pictures that are alike in one chunk, each is compared to so many at most."""

BLOCK = 1 << 20
"""Pairs that are compared at a time."""

_waves = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * (2 * np.arange(SIDE)[None] + 1) / (2 * SIDE))
_DCT = _waves.astype(np.float32)  # (16, 64)
_ORDER = np.random.default_rng(0).permutation(FREQUENCIES**2)
"""Neighbouring frequencies depend on each other; dealt out at random, the chunks do not."""


def fingerprint(grey: Image.Image) -> np.ndarray | None:
    """What a picture shows, in 256 bits.

    Args:
        grey: the picture, of mode L.

    Returns:
        (4,) uint64, or None for a picture that shows next to nothing.

    >>> fingerprint(Image.new("L", (30, 40))) is None
    True
    """
    values = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    if values.std() < FLAT:
        return None
    signs = (_DCT @ values @ _DCT.T > 0).ravel()
    signs[0] = False  # the mean, which is always positive
    return np.packbits(signs[_ORDER]).view(np.uint64)


_odd = np.zeros((FREQUENCIES, FREQUENCIES), bool)
_odd[:, 1::2] = True
MIRROR = np.packbits(_odd.ravel()[_ORDER]).view(np.uint64)
"""(4,) uint64: the bits that change when a picture is mirrored, left to right."""


def digest(array: np.ndarray) -> bytes:
    """16 bytes that are equal for arrays of equal shape and content alone."""
    summed = hashlib.sha256(repr((array.shape, array.dtype.str)).encode(), usedforsecurity=False)
    summed.update(np.ascontiguousarray(array).data)
    return summed.digest()[:16]


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The bits in which fingerprints differ: (..., 4) uint64 each -> (...) int."""
    return np.bitwise_count(first ^ second).sum(-1, dtype=np.int32)


def near_pairs(queries: np.ndarray, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture that is within `RADIUS` of each query, where there is one.

    Multi-index hashing: of two fingerprints that differ in at most 15 bits, one of the 16 chunks of 16 bits is equal; of two
    that differ in at most 31, one differs in at most one bit. So each query is compared to those that share a chunk with it,
    and if none of them is near, to those that do so up to one bit: for a hundred thousand unrelated pictures, to four hundred
    instead of all. No near picture is missed, unless more than `CROWD` pictures share a chunk: where thousands are alike, each
    of them finds one of the others.

    Source: Norouzi, Punjani & Fleet 2012, "Fast Search in Hamming Space with Multi-Index Hashing".

    Args:
        queries: (Q, 4) uint64.
        pictures: (N, 4) uint64.

    Returns:
        query: (P,) int64, indices of the queries that have one, rising.
        picture: (P,) int64, the nearest picture if it is within 15 bits, else one within `RADIUS`; the first of equal ones.
        distance: (P,) int32, how many bits differ.
    """
    best = np.full(len(queries), RADIUS + 1, np.int32)
    nearest = np.full(len(queries), -1, np.int64)
    for flips in (np.zeros(1, np.uint16), np.left_shift(1, np.arange(CHUNK_BITS)).astype(np.uint16)):
        open_ones = np.flatnonzero(nearest < 0)
        for asked, found in _candidates(queries[open_ones], pictures, flips):
            asked = open_ones[asked]
            apart = distances(queries[asked], pictures[found])
            close = np.flatnonzero(apart <= RADIUS)
            order = np.lexsort((found[close], apart[close], asked[close]))
            asked, found, apart = asked[close][order], found[close][order], apart[close][order]
            first = np.flatnonzero(np.diff(asked, prepend=-1))  # the nearest of each query in this block
            asked, found, apart = asked[first], found[first], apart[first]
            better = (apart < best[asked]) | ((apart == best[asked]) & (found < nearest[asked]))
            best[asked[better]], nearest[asked[better]] = apart[better], found[better]
    there = np.flatnonzero(nearest >= 0)
    return there, nearest[there], best[there]


def _candidates(
    queries: np.ndarray, pictures: np.ndarray, flips: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of (query, picture) indices that share a chunk, but for one of `flips`, (F,) uint16."""
    for chunk in range(NUM_CHUNKS):
        keys = pictures.view(np.uint16)[:, chunk]
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange((1 << CHUNK_BITS) + 1))
        for flip in flips:
            wanted = (queries.view(np.uint16)[:, chunk] ^ flip).astype(np.int64)
            counts = np.minimum(starts[wanted + 1] - starts[wanted], CROWD)
            ends = np.cumsum(counts)
            first = starts[wanted] - (ends - counts)  # what is added to a place to give its place in `order`
            low = 0
            while low < len(queries):
                high = max(low + 1, int(np.searchsorted(ends, ends[low] + BLOCK)))
                asked = np.repeat(np.arange(low, high), counts[low:high])
                places = np.arange(ends[low] - counts[low], ends[high - 1])
                yield asked, order[first[asked] + places]
                low = high
