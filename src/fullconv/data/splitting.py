"""Dividing pictures into splits or folds: groups stay whole, and the classes are spread evenly where that is asked.

A split that is to have the part f wants the part f of the pictures and, where that is asked, of each class's pixels; let r be
what it still wants, and u the parts that a group holds. Groups are given to the splits one by one, those that hold the largest
parts first, each to the split of the largest sum of u (2 r - u) / f: there it lowers the sum of r ** 2 / f most. A rare class's
few pictures are large parts of it, so that they come first and weigh most.

Source: the greedy rule of Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data" (iterative
stratification: the rarest label first, each example to the subset that wants it most), with pixels in place of labels and all
classes of a group weighed at once; groups are held together as in scikit-learn's StratifiedGroupKFold.

The same names and seed give the same splits on every machine, in whatever order the names come.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fullconv.data.masks import read_mask
from fullconv.data.samples import Sample
from fullconv.errors import ConfigError, DataError
from fullconv.labels import IGNORE_INDEX, LabelSet
from fullconv.lookahead import THREADS, ahead

Progress = Callable[[int, int], None]

ROUNDING = 1e-9
"""Parts below it are none: one picture of a billion."""


def groups_by_sequence(names: Sequence[str]) -> dict[str, str]:
    """The sequence of each name: all of it but the last number.

    >>> groups_by_sequence(["0001TP_006690", "0001TP_006720", "Seq05VD_f00000", "cover"])["0001TP_006720"]
    '0001TP_*'
    >>> groups_by_sequence(["cover"])
    {'cover': 'cover'}
    """
    return {name: re.sub(r"\d+(?=\D*$)", "*", name, count=1) for name in names}


def num_sequences(names: Sequence[str]) -> int:
    """How many sequences the names look like frames of: at least two, whose numbers mostly go on in one step. Else 0.

    >>> num_sequences([f"{city}_{30 * frame:06d}" for city in ("a", "b") for frame in range(9)])
    2
    >>> num_sequences(["2007_000032", "2007_000039", "2007_000063", "2008_000008", "2008_000015", "2008_000019"])
    0
    """
    numbers: dict[str, list[int]] = {}
    for name, group in groups_by_sequence(names).items():
        if group != name:
            numbers.setdefault(group, []).append(int(re.findall(r"\d+", name)[-1]))
    steps = [np.diff(sorted(frames)) for frames in numbers.values() if len(frames) > 2]
    regular = sum(int(np.unique(each, return_counts=True)[1].max()) for each in steps)
    return len(numbers) if len(numbers) > 1 and 2 * regular > len(names) else 0


def groups_by_pattern(names: Sequence[str], pattern: str) -> dict[str, str]:
    """The group of each name: what a regular expression finds in it, or what its first parentheses hold.

    Raises:
        ConfigError: it is no regular expression.
        DataError: it is not in a name.

    >>> groups_by_pattern(["paris_01", "rome_07"], "^[a-z]+")
    {'paris_01': 'paris', 'rome_07': 'rome'}
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"{pattern!r} is no regular expression ({error}); expected one, 'sequence', 'folder' or a .csv file"
        ) from None
    found = {name: compiled.search(name) for name in names}
    without = [name for name, match in found.items() if match is None]
    if without:
        raise DataError(
            f"{pattern!r} is not in {len(without)} of {len(names)} names, such as {without[0]!r}; expected it in each; "
            "change the pattern"
        )
    return {
        name: next((part for part in match.groups() if part is not None), match[0])
        for name, match in found.items()
        if match
    }


def groups_from_csv(names: Sequence[str], path: Path) -> dict[str, str]:
    """The group of each name, from lines NAME,GROUP; names may have folders and a file's end; other lines are left out.

    Raises:
        DataError: it cannot be read, or a name is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if len(row) >= 2]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected lines NAME,GROUP in UTF-8") from None
    told = {}
    for name, group, *_ in rows:
        for key in (name, Path(name).name, Path(name).stem):
            told.setdefault(key, group)
    missing = [name for name in names if name not in told]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(names)} pictures have no group, such as {missing[0]!r}; expected a line "
            "NAME,GROUP for each; add them"
        )
    return {name: told[name] for name in names}


def divide(
    groups: Mapping[str, str],
    fractions: Mapping[str, float],
    pixels: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Divides names into splits so that no group is in two.

    With n names, G the size of the largest group and S splits, a split that is to have the part f has fewer than f n + G names
    and more than f n - (S - 1) G, and at least one.

    Args:
        groups: the group of each name.
        fractions: the part of the names that each split is to have, above 0; their sum is 1.
        pixels: of each name K counts, the pixels of each class, to be spread evenly; without, only the names are counted.
        seed: another number gives another division.

    Returns:
        The names of each split, sorted; all in all each name once.

    Raises:
        DataError: there are fewer groups than splits.
    """
    members: dict[str, list[str]] = {}
    for name in sorted(groups):
        members.setdefault(groups[name], []).append(name)
    splits = list(fractions)
    if len(members) < len(splits):
        shown = ", ".join(sorted(members)[:3])
        raise DataError(
            f"got {len(members)} group{'s' if len(members) != 1 else ''} ({shown}) for {len(splits)} splits; expected at "
            "least one for each; group the pictures otherwise"
        )
    keys = sorted(members)
    holds = _parts(keys, members, pixels)  # (groups, 1 + K), each column sums to 1 or is 0
    parts = np.array([fractions[split] for split in splits])
    wants = np.repeat(parts[:, None], holds.shape[1], axis=1)  # (S, 1 + K)
    drawn = [hashlib.sha256(f"{seed}/{key}".encode()).digest() for key in keys]
    order = sorted(range(len(keys)), key=lambda index: (-float(holds[index] @ holds[index]), drawn[index]))
    found: dict[str, list[str]] = {split: [] for split in splits}
    for place, index in enumerate(order):
        empty = [at for at, split in enumerate(splits) if not found[split]]
        open_to = [at for at in range(len(splits)) if wants[at, 0] > ROUNDING]
        if len(order) - place <= len(empty):
            open_to = empty
        # rounded, so that other processors' sums, in another order, decide alike
        gains = np.round((2 * wants - holds[index]) @ holds[index] / parts, 12)
        chosen = max(open_to, key=lambda at: (gains[at], -parts[at], -at))
        wants[chosen] -= holds[index]
        found[splits[chosen]] += members[keys[index]]
    return {split: sorted(names) for split, names in found.items()}


def _parts(
    keys: Sequence[str], members: Mapping[str, Sequence[str]], pixels: Mapping[str, Sequence[int]] | None
) -> np.ndarray:
    """(groups, 1 + K): the part of all pictures, and of each class's pixels, that a group holds."""
    sizes = np.array([len(members[key]) for key in keys], float)[:, None]
    if pixels is not None:
        counts = np.array([np.sum([pixels[name] for name in members[key]], axis=0) for key in keys], float)
        sizes = np.concatenate([sizes, counts], axis=1)
    totals = sizes.sum(axis=0)
    return np.divide(sizes, totals, out=np.zeros_like(sizes), where=totals > 0)


def fold_fractions(folds: int) -> dict[str, float]:
    """Equal parts, for `divide`: "0", "1", ...

    >>> fold_fractions(2)
    {'0': 0.5, '1': 0.5}
    """
    return {str(fold): 1 / folds for fold in range(folds)}


def class_pixels(samples: Sequence[Sample], labels: LabelSet, progress: Progress | None = None) -> np.ndarray:
    """Reads all masks.

    Returns:
        (samples, K) int64: the pixels of each class.

    Raises:
        PictureError, DataError: a mask cannot be read.
    """

    def count(sample: Sample) -> np.ndarray:
        label_map = read_mask(sample.mask, labels, sample.shades)
        return np.bincount(label_map.ravel(), minlength=IGNORE_INDEX + 1)[: labels.num_classes]

    found = np.zeros((len(samples), labels.num_classes), np.int64)
    with ThreadPoolExecutor(THREADS) as threads:
        for index, counts in enumerate(ahead(threads, count, samples)):
            found[index] = counts
            if progress:
                progress(index + 1, len(samples))
    return found
