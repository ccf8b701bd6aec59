"""What the data doctor finds and mends, and where its thresholds come from.

python benchmarks/data_check.py table [--write]      each fault planted alone: found, mended; writes docs/data_check.md's table
python benchmarks/data_check.py thresholds DATA...   fingerprints and outlines of real data sets
python benchmarks/data_check.py search [NUMBER]      near pictures among so many
"""

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from fullconv.data.check import examine_all
from fullconv.data.dataset import open_dataset
from fullconv.data.doctor.diagnosis import diagnose
from fullconv.data.doctor.fingerprints import MIRROR, distances, fingerprint, near_pairs
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.doctor.mending import mend
from fullconv.data.doctor.outlines import outline_fit
from fullconv.data.faults.planting import FAULTS, write_faulty_scenes
from fullconv.data.samples import read_sample
from fullconv.data.scenes import write_scenes

DOCS = Path(__file__).parents[1] / "docs" / "data_check.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("table", "thresholds", "search"))
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "table":
        table = "".join(f"{line}\n" for line in rows())
        print(table)
        if arguments.write:
            head, _, tail = DOCS.read_text().partition(BEGIN)
            DOCS.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail.partition(END)[2]}")
    elif arguments.what == "thresholds":
        for folder in arguments.rest:
            thresholds(Path(folder))
    else:
        search(int(arguments.rest[0]) if arguments.rest else 100_000)


def rows() -> Iterator[str]:
    """The table of docs/data_check.md; each fault is planted into 16 + 6 scenes of its own."""
    yield "| fault | planted | found as | mended by `--fix` |"
    yield "|---|---|---|---|"
    with tempfile.TemporaryDirectory() as place:
        clean = diagnose(write_scenes(Path(place) / "clean", 16, 6, size_hw=(96, 128)))
        assert not clean.findings, clean.findings
        yield "| none | the scenes as they are drawn | nothing | |"
        for code, fault in FAULTS.items():
            folder = write_faulty_scenes(Path(place) / code, [code], 16, 6, size_hw=(96, 128))
            yield row(code, " ".join((fault.plant.__doc__ or "").split()), folder)


def row(code: str, planted: str, folder: Path) -> str:
    kind, diagnosis = KINDS[code], diagnose(folder)
    others = [
        each.code for each in diagnosis.findings if each.code != code and each.severity != "information"
    ]
    (found,) = [each for each in diagnosis.findings if each.code == code]
    assert not others, (code, others)
    places = f", {len(found.places)} {'file' if len(found.places) == 1 else 'files'}" if found.places else ""
    mended = "no: a person must" if found.severity != "information" else ""
    if kind.mend:
        done = mend(diagnosis, folder.with_name(f"{code}-mended"), [code] if kind.asked else [])
        left = [each for each in diagnose(done.folder).findings if each.code == code]
        number = len(done.done[code])
        what = f"{number} of {len(found.places)}" if left else "all"
        mended = f"{what}; {kind.mend}" + (f" (with `--also {code}`)" if kind.asked else "")
    return f"| `{code}` | {planted} | {found.severity}{places}: {kind.title} | {mended} |"


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return change


def cropped(part: float) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        return picture.crop(
            (int(width * part), int(height * part), int(width * (1 - part)), int(height * (1 - part)))
        )

    return change


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 50": jpeg(50),
    "JPEG, quality 20": jpeg(20),
    "half the size": lambda picture: picture.reduce(2),
    "a quarter of the size": lambda picture: picture.reduce(4),
    "30 % brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "30 % darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "30 % more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.3),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "1 % cut off all around": cropped(0.01),
    "5 % cut off all around": cropped(0.05),
}


def thresholds(folder: Path) -> None:
    """Prints how far fingerprints lie apart, and how well outlines fit, own and foreign."""
    dataset = open_dataset(folder)
    samples = {sample.picture: sample for members in dataset.splits.values() for sample in members}
    examined = list(examine_all(list(samples.values()), dataset.labels, thorough=True))
    marks = [each.picture.fingerprint for each in examined if each.picture and each.picture.fingerprint]
    prints = np.frombuffer(b"".join(marks), np.uint64).reshape(-1, 4)
    apart = np.concatenate([distances(prints[i], prints[i + 1 :]) for i in range(len(prints) - 1)])
    mirrored = min(int(distances(each ^ MIRROR, prints).min()) for each in prints)
    print(
        f"\n{dataset.name}: {len(prints)} pictures; bits of 256 between two of them: least {apart.min()}, ",
        end="",
    )
    print(
        f"0.1 % {np.percentile(apart, 0.1):.0f}, median {np.median(apart):.0f}; to a mirrored one: least {mirrored}"
    )
    some = list(samples.values())[:: max(1, len(samples) // 60)]
    pictures = [read_sample(sample, dataset.labels) for sample in some]
    for name, change in {**CHANGES, "mirrored": ImageOps.mirror}.items():
        moved = []
        for picture, _ in pictures:
            image = Image.fromarray(picture[..., :3])
            own, other = fingerprint(image.convert("L")), fingerprint(change(image).convert("L"))
            if own is not None and other is not None:
                moved.append(int(distances(own, other ^ MIRROR if name == "mirrored" else other)))
        print(f"  {name:24} median {np.median(moved):4.0f}   most {max(moved):4d}")
    fits = np.array([each.mask.fit for each in examined if each.mask and each.mask.fit is not None])
    foreign = []
    for (picture, _), (_, label_map) in pairwise(pictures):
        size = picture.shape[1], picture.shape[0]
        mask = np.asarray(Image.fromarray(label_map).resize(size, Image.Resampling.NEAREST))
        fit = outline_fit(Image.fromarray(picture[..., :3]).convert("L"), mask)
        foreign += [] if fit is None else [fit]
    for name, values in (("own mask", fits), ("another's mask", np.array(foreign))):
        low, middle, high = np.percentile(values, [1, 50, 99])
        poor = f"below 1.1: {(values < 1.1).mean():.1%}"
        print(f"  outlines, {name:15} 1 % {low:.2f}   median {middle:.2f}   99 % {high:.2f}   {poor}")
    between = [each.mask.between for each in examined if each.mask]
    print(f"  steps over a pixel in between: most {max(between):.3f}")


def search(number: int) -> None:
    """Prints what it takes to find the near pictures of as many queries among so many pictures."""
    rng = np.random.default_rng(0)
    pictures, queries = rng.integers(0, 2**64, (2, number, 4), np.uint64)
    planted = np.arange(0, number, 100)
    for index in planted:
        bits = np.unpackbits(pictures[-index].view(np.uint8))
        bits[rng.choice(256, rng.integers(0, 32), replace=False)] ^= 1
        queries[index] = np.packbits(bits).view(np.uint64)
    began = time.process_time()
    found, _, _ = near_pairs(queries, pictures)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{number:,} queries among {number:,} pictures: {time.process_time() - began:.1f} s of one processor, ",
        end="",
    )
    print(f"{memory:.0f} MB in all; {len(planted):,} near ones planted, {len(found):,} found")


if __name__ == "__main__":
    main()
