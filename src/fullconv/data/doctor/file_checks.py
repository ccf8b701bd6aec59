"""Files that cannot be read, and pictures of a kind that deserves a word."""

from collections.abc import Sequence

import numpy as np

from fullconv.data.doctor.examination import Examined, suffix_lies
from fullconv.data.doctor.findings import Finding, Place, by_code
from fullconv.data.doctor.refusals import CODES

TRAITS = ("16-bit", "alpha", "cmyk", "animated")

FEW = 0.5
"""Grey pictures are worth a word where fewer than this part of all are."""

ODD = 16
"""A picture of so many times fewer or more pixels than the median is odd."""


def file_findings(examined: Sequence[Examined]) -> list[Finding]:
    """What is wrong with files one by one; refused masks apart."""
    found = {
        code: []
        for code in ("empty-file", "unreadable", "too-large", "mask-turned", "mask-size", "extra-size")
    }
    for each in examined:
        for fault in each.faults:
            if fault.code in CODES and fault.file == str(each.sample.mask):
                continue
            code = fault.code if fault.code in found else "unreadable"
            found[code].append(Place(fault.file, fault.text.partition(": ")[2].partition("; ")[0]))
    return by_code(found | _kinds(examined))


def _kinds(examined: Sequence[Examined]) -> dict[str, list[Place]]:
    pictures = [each for each in examined if each.picture and each.picture_header]
    found: dict[str, list[Place]] = {"wrong-suffix": _wrong_suffixes(examined)}
    found["picture-turned"] = [
        Place(str(each.sample.picture), f"EXIF orientation {each.picture_header.orientation}")
        for each in pictures
        if each.picture_header and each.picture_header.orientation != 1
    ]
    for trait in TRAITS:
        found[f"picture-{trait}"] = [
            Place(str(each.sample.picture))
            for each in pictures
            if each.picture_header and trait in each.picture_header.traits
        ]
    grey = [Place(str(each.sample.picture)) for each in pictures if each.picture and each.picture.grey]
    found["picture-grey"] = grey if len(grey) < FEW * len(pictures) else []
    found["picture-blank"] = [
        Place(str(each.sample.picture), "is of one colour all over")
        for each in pictures
        if each.picture and each.picture.blank
    ]
    found["size-odd"] = _odd_sizes(examined)
    return found


def _wrong_suffixes(examined: Sequence[Examined]) -> list[Place]:
    return [
        Place(str(path), f"is a {header.format}")
        for each in examined
        for path, header in ((each.sample.picture, each.picture_header), (each.sample.mask, each.mask_header))
        if header is not None and suffix_lies(path, header)
    ]


def _odd_sizes(examined: Sequence[Examined]) -> list[Place]:
    sizes = [(each, each.size_hw) for each in examined if each.size_hw]
    if not sizes:
        return []
    median = float(np.median([height * width for _, (height, width) in sizes]))
    return [
        Place(
            str(each.sample.picture),
            f"is {height} x {width} (height x width); the median has {median:,.0f} pixels",
        )
        for each, (height, width) in sizes
        if not median / ODD <= height * width <= median * ODD
    ]
