"""Mending what can be mended safely, into a new folder: the one that was looked at stays as it is.

The copy has the same layout and the same names. Masks that change are written as PNG, samples that cannot be used are left
out, and lists lose the names of those that are. What is mended how stands in `KINDS`.
"""

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fullconv.data.doctor.diagnosis import Diagnosis
from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.doctor.mended_masks import mended_mask, write_mended
from fullconv.data.doctor.survey import is_learnt
from fullconv.data.layouts.folders import Place
from fullconv.data.pictures import SUFFIXES
from fullconv.errors import DataError, InputError, StorageError, UnknownNameError
from fullconv.storage import replaced_folder

LEAVE_OUT = frozenset(
    (
        "mask-missing",
        "companion-missing",
        "empty-file",
        "unreadable",
        "too-large",
        "mask-void",
        "picture-blank",
    )
)
"""What is mended by leaving the whole sample out."""

UNLEARN = frozenset(("in-two-splits", "same-across", "near-same-across", "same-within"))
"""What is mended by taking samples out of training."""

ENDS = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
    "PPM": ".ppm",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Mended:
    """What was done.

    Attributes:
        folder: the new data set.
        done: for each code, the files that were mended.
    """

    folder: Path
    done: dict[str, tuple[str, ...]]

    def lines(self) -> list[str]:
        """A line for each code."""
        return [f"{code}: {KINDS[code].mend} ({len(files)})" for code, files in self.done.items()]


@dataclass
class _Plan:
    """What becomes of the files of a data set; all others are copied.

    Attributes:
        dropped: files that are not copied.
        unlisted: for each list, the names that it loses.
        masks: for each sample whose mask is written anew, by its index, the codes of its faults.
        renamed: files that get another suffix.
        done: for each code, the files that are mended.
    """

    dropped: set[Path] = field(default_factory=set)
    unlisted: dict[Path, set[str]] = field(default_factory=dict)
    masks: dict[int, set[str]] = field(default_factory=dict)
    renamed: dict[Path, str] = field(default_factory=dict)
    done: dict[str, list[str]] = field(default_factory=dict)

    def did(self, code: str, file: str) -> None:
        files = self.done.setdefault(code, [])
        if file not in files:
            files.append(file)


def mend(
    diagnosis: Diagnosis, dst: Path | str, also: Collection[str] = (), progress: Progress | None = None
) -> Mended:
    """Writes a copy of a data set in which what can be mended is.

    Args:
        diagnosis: of the data set.
        dst: the new folder; must not exist, or be empty.
        also: codes of faults that are mended only when asked for.
        progress: called with (done, total) after each file.

    Raises:
        DataError: the data set is of another layout, or `dst` cannot be the new folder.
        UnknownNameError: `also` names what is not mended.
        StorageError: the disk is full or may not be written; nothing is left behind.
    """
    place, source, target = _checked(diagnosis, Path(dst), also)
    plan = _plan(diagnosis, place, also)
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    _room_for(files, target)
    with replaced_folder(target) as fresh:
        written = _write_masks(diagnosis, plan, source, fresh)
        for done, path in enumerate(files, start=1):
            relative = path.relative_to(source)
            if path in plan.unlisted:
                _write_list(path, fresh / relative, plan.unlisted[path])
            elif path not in plan.dropped and path not in written:
                _copy(path, fresh / relative.with_suffix(plan.renamed.get(path, relative.suffix)))
            if progress:
                progress(done, len(files))
        _pin_splits(diagnosis, plan, place, source, fresh)
    return Mended(target, {code: tuple(plan.done[code]) for code in KINDS if plan.done.get(code)})


def _checked(diagnosis: Diagnosis, dst: Path, also: Collection[str]) -> tuple[Place, Path, Path]:
    asked = [code for code, kind in KINDS.items() if kind.asked]
    for code in also:
        if code not in asked:
            raise UnknownNameError("fault for --also", code, asked)
    source, target = diagnosis.survey.folder, dst.absolute()
    place = diagnosis.survey.place
    if place is None or diagnosis.survey.dataset is None:
        raise DataError(
            f"{source}: only data sets in folders of pictures and masks are mended; convert it first: "
            f"fullconv data convert {source} NEW --to voc"
        )
    inside = target.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(
        target.resolve()
    )
    if inside:
        raise DataError(f"{dst}: lies in {source}, or around it; expected a folder apart; choose another")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{dst}: exists and is not empty; expected a new folder; choose another or remove it")
    return place, source, target


def _plan(diagnosis: Diagnosis, place: Place, also: Collection[str]) -> _Plan:
    plan = _Plan()
    for finding in diagnosis.findings:
        kind = KINDS[finding.code]
        if not finding.fixable or (kind.asked and finding.code not in also):
            continue
        _plan_finding(plan, finding, diagnosis, place)
    gone = {index for index, each in enumerate(diagnosis.examined) if _is_gone(each, plan)}
    for index in gone & plan.masks.keys():
        del plan.masks[index]
    return plan


def _is_gone(each: Examined, plan: _Plan) -> bool:
    return each.sample.mask in plan.dropped


def _plan_finding(plan: _Plan, finding: Finding, diagnosis: Diagnosis, place: Place) -> None:
    code = finding.code
    by_file: dict[str, list[int]] = {}
    for index, each in enumerate(diagnosis.examined):
        sample = each.sample
        for path in (sample.picture, sample.mask, sample.extra, *sample.head_masks):
            by_file.setdefault(str(path), []).append(index)
    for where in finding.places:
        indices = by_file.get(where.file, [])
        if code == "listed-missing":
            list_path, _, name = where.file.partition(": ")
            plan.unlisted.setdefault(Path(list_path), set()).add(name)
        elif code == "picture-missing":
            plan.dropped.add(Path(where.file))
        elif code == "name-doubled":
            if not where.beside:  # of each two the second carries the other's name
                continue
            plan.dropped.add(Path(where.file))
        elif code == "wrong-suffix":
            path = Path(where.file)
            plan.renamed[path] = ENDS[where.note.rpartition(" ")[2]]
        elif code in LEAVE_OUT:
            _leave_out(plan, where.file, indices, diagnosis, place)
        elif code in UNLEARN:
            _unlearn(plan, indices, diagnosis, place)
        else:
            for index in indices:
                plan.masks.setdefault(index, set()).add(code)
            continue  # done when it is written
        plan.did(code, where.file)


def _leave_out(plan: _Plan, file: str, indices: list[int], diagnosis: Diagnosis, place: Place) -> None:
    """Takes a file, and all samples that use it, out of the data set."""
    plan.dropped.add(Path(file))
    key = Path(file).with_suffix("")
    names = {key.name}
    for folder, other in ((place.pictures, place.masks), (place.masks, place.pictures)):
        if key.is_relative_to(folder):
            names.add(key.relative_to(folder).as_posix())
            if not indices:  # no sample could be made of it: its partner would be left alone
                partner = other / key.relative_to(folder)
                plan.dropped |= {path for path in partner.parent.glob("*") if path.with_suffix("") == partner}
    for index in indices:
        sample = diagnosis.examined[index].sample
        names.add(sample.name)
        paths = (sample.picture, sample.mask, sample.extra, *sample.head_masks)
        plan.dropped |= {path for path in paths if isinstance(path, Path)}
    for split, path in place.lists.items():
        if not indices or any(index in diagnosis.splits.get(split, ()) for index in indices):
            plan.unlisted.setdefault(path, set()).update(names)


def _unlearn(plan: _Plan, indices: Iterable[int], diagnosis: Diagnosis, place: Place) -> None:
    """Takes samples out of the splits for training: out of the lists, or where there are none, their files."""
    for index in indices:
        sample = diagnosis.examined[index].sample
        own = [split for split, members in diagnosis.splits.items() if index in members]
        for split in filter(is_learnt, own):
            if split in place.lists:
                plan.unlisted.setdefault(place.lists[split], set()).add(sample.name)
            elif len(own) == 1:
                paths = (sample.picture, sample.mask, sample.extra, *sample.head_masks)
                plan.dropped |= {path for path in paths if isinstance(path, Path)}


def _write_masks(diagnosis: Diagnosis, plan: _Plan, source: Path, fresh: Path) -> set[Path]:
    """Writes the masks that are mended; returns the files they stand for."""
    dataset, written = diagnosis.survey.dataset, set()
    assert dataset is not None, "masks were read"
    for index, codes in plan.masks.items():
        each = diagnosis.examined[index]
        path = each.sample.mask
        if not isinstance(path, Path):
            continue
        try:
            label_map = mended_mask(each, codes, dataset.labels)
        except InputError:
            label_map = None
        if label_map is None:
            continue
        target = fresh / path.relative_to(source).with_suffix(".png")
        write_mended(target, label_map, each.sample, dataset.labels)
        written.add(path)
        for code in codes:
            plan.did(code, str(path))
    return written


def _pin_splits(diagnosis: Diagnosis, plan: _Plan, place: Place, source: Path, fresh: Path) -> None:
    """Writes lists where the split is chosen by the names: it would be another without those that are left out."""
    has_trees = any("/" in path.relative_to(place.pictures).as_posix() for path in place.pictures.glob("*/*"))
    if place.lists or has_trees or not plan.dropped:
        return
    for split, members in diagnosis.splits.items():
        kept = [diagnosis.examined[index].sample for index in members]
        names = [sample.name for sample in kept if sample.picture not in plan.dropped]
        if names:
            (fresh / place.root.relative_to(source) / f"{split}.txt").write_text(
                "\n".join(names) + "\n", "utf-8"
            )


def _write_list(path: Path, target: Path, without: Collection[str]) -> None:
    """Copies a list but for some names."""
    kept = []
    for line in path.read_text("utf-8-sig").splitlines():
        name = line.strip()
        end = Path(name).suffix
        if (name[: -len(end)] if end.lower() in SUFFIXES else name) not in without:
            kept.append(line)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(kept) + "\n", "utf-8")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # another file has got this name by a mended suffix
        target = target.with_suffix(path.suffix)
    shutil.copy2(path, target)


def _room_for(files: Iterable[Path], target: Path) -> None:
    needed = sum(path.stat().st_size for path in files)
    parent = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise StorageError(
            f"{target}: the copy takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; choose another disk"
        )
