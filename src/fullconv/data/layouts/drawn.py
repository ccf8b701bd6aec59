"""What the layouts have in common whose masks are drawn from shapes: sizes, points, splits and the pictures' files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fullconv.data.classes import find_description
from fullconv.data.documents import inside, shortened
from fullconv.data.layouts.folders import SPLIT_NAMES, tenth_for_val
from fullconv.data.pictures import SUFFIXES, picture_size
from fullconv.data.samples import Sample
from fullconv.errors import DataError

SPLITS = ("train", "val", "test", *SPLIT_NAMES)
"""What a folder or file is called that holds a split."""

NOT_CHOSEN = "val is a tenth, chosen by the names' SHA-256"


def split_in(name: str) -> str | None:
    """The split that one of the words in a file's name speaks of, if one does.

    >>> split_in("instances_train2017"), split_in("trainset_a"), split_in("Test")
    ('train', None, 'test')
    """
    words = re.split(r"[^a-z]+", name.casefold())
    found = next((word for word in words if word in SPLITS), None)
    return SPLIT_NAMES.get(found, found) if found else None


def split_of_folder(name: str) -> str | None:
    """The split that a folder is called by, with or without a year.

    >>> split_of_folder("valid"), split_of_folder("train2017"), split_of_folder("train_station")
    ('val', 'train', None)
    """
    return split_in(name) if re.fullmatch(r"[A-Za-z]+[_-]?(\d{4})?", name) else None


def splits_of(names: Iterable[str], root: Path) -> dict[str, str | None]:
    """What folders or files beside each other mean: if one is called by a split, each is a split, else none.

    Those that the `splits` of dataset.yaml names are splits whatever they are called.

    Args:
        names: of the folders, or of the files without suffix.
        root: the data set's folder.

    >>> splits_of(["train", "more", "valid"], Path("no/such/folder"))
    {'train': 'train', 'more': 'more', 'valid': 'val'}
    >>> splits_of(["monday", "friday"], Path("no/such/folder"))
    {'monday': None, 'friday': None}
    """
    names, described = list(names), find_description(root)
    said = described[1].splits if described else ()
    any_said = any(name in said or split_of_folder(name) for name in names)
    return {
        name: name if name in said else split_of_folder(name) or name if any_said else None for name in names
    }


def in_splits(
    found: Sequence[tuple[str | None, Sample]], where: object
) -> tuple[str, dict[str, tuple[Sample, ...]]]:
    """Samples by their splits, or a tenth of them as val where none says its own; and that in words, if so.

    Raises:
        DataError: there are none, or two of one name.
    """
    if not found:
        raise DataError(f"{where}: holds no labelled picture; expected some; label them, or check the path")
    names = [sample.name for _, sample in found]
    chosen, note = [split or "default" for split, _ in found], ""
    if not any(split for split, _ in found):
        tenth = tenth_for_val(sorted(set(names)))
        by_name = {name: split for split, members in tenth.items() for name in members}
        chosen, note = [by_name[name] for name in names], f"; {NOT_CHOSEN}"
    splits: dict[str, dict[str, Sample]] = {}
    for split, (_, sample) in zip(chosen, found, strict=True):
        before = splits.setdefault(split, {}).setdefault(sample.name, sample)
        if before is not sample:
            raise DataError(
                f"{sample.mask}: picture {sample.name!r} is there twice, before in {before.mask}; expected each once; "
                "remove one"
            )
    return note, {split: tuple(samples.values()) for split, samples in splits.items()}


def drawn_size(declared_hw: tuple[int, int] | None, picture: Path, where: object) -> tuple[int, int]:
    """The size of a mask: that of its picture, which the annotation has to agree with.

    It is looked up before anything is drawn, so that no wrong number can ask for a huge mask.

    Raises:
        DataError: the annotation was made for another size.
        PictureError: the picture cannot be read.
    """
    shown = picture_size(picture)
    if declared_hw is None or declared_hw == shown:
        return shown
    sizes = f"{declared_hw[0]} x {declared_hw[1]} (height x width), its picture {shown[0]} x {shown[1]}"
    if declared_hw == (shown[1], shown[0]):
        raise DataError(
            f"{where}: is {sizes}: swapped, as when the shapes were drawn without the picture's EXIF orientation; label "
            f"it again, or remove the orientation tag of {picture}"
        )
    raise DataError(
        f"{where}: is {sizes}; expected equal sizes; label the picture that is there, or put back {picture}"
    )


def pictures_in(folder: Path, depth: int = 2) -> Iterator[Path]:
    """The picture files in a folder and in those in it, `depth` levels down, sorted in each."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path
        elif depth and path.is_dir():
            yield from pictures_in(path, depth - 1)


def sample_name(picture: Path, root: Path, split: str | None) -> str:
    """A picture's name in its split: its path without the suffix, without the folders that say the split or `images`.

    >>> sample_name(Path("d/train2017/images/a/b.jpg"), Path("d"), "train")
    'a/b'
    """
    parts = picture.relative_to(root).with_suffix("").parts
    said = {"images", "img", split}
    return "/".join(
        [*(part for part in parts[:-1] if part not in said and not split_of_folder(part)), parts[-1]]
    )


class Pictures:
    """Finds the pictures that an annotation file names, in one of several folders."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]

    def find(self, name: str) -> Path | None:
        """The picture of a name, or None; of a name that leads out of the folders the last part counts.

        >>> Pictures([Path("no/such/folder")]).find("a.jpg") is None
        True
        """
        for number, folder in enumerate(self.folders):
            for step in dict.fromkeys((name, re.split(r"[/\\]", name)[-1])):
                try:
                    path = inside(folder, step, folder)
                    there = path.is_file()
                except (DataError, OSError, ValueError):
                    continue
                if there:
                    self.folders.insert(0, self.folders.pop(number))  # the next one is likely to be there too
                    return path
        return None


def require_all(missing: Sequence[str], total: int, folders: Sequence[Path], where: object) -> None:
    """Makes sure that no picture that a file names is missing.

    Raises:
        DataError: some are.
    """
    if missing:
        looked = ", ".join(str(folder) for folder in folders[:4]) or "no folder of pictures"
        raise DataError(
            f"{where}: {len(missing)} of its {total} pictures are missing; for {shortened(missing[0])} looked in {looked}; "
            "add them, or remove them from the file"
        )


def first_file(candidates: Iterable[Path]) -> Path | None:
    """The first of some files that is there."""
    return next((path for path in candidates if path.is_file()), None)
