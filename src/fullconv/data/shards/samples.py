"""The samples of many shards as one sequence, of which nothing is in memory but the shards' names and counts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload
from urllib.parse import unquote

from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades
from fullconv.data.pictures import SUFFIXES
from fullconv.data.samples import Sample
from fullconv.data.shards.index import Record, Shard, samples_in
from fullconv.data.shards.tar import Entry
from fullconv.data.sources import Member
from fullconv.errors import DataError

PICTURE_WORDS = ("", "image", "img", "picture", "rgb")
MASK_WORDS = ("mask", "seg", "segmentation", "label", "labels", "annotation", "semantic", "gt")
"""What stands between key and suffix: KEY.jpg or KEY.image.jpg is a picture, KEY.mask.png or KEY.seg.png its mask."""


@dataclass(frozen=True)
class Roles:
    """What belongs to a sample beside picture and mask, by the word before the suffix.

    Attributes:
        heads: of the masks of each further head.
        extra: of the file of extra channels, if there are some.
        extra_format: what that holds.
        shades: the masks are grey pictures; None: they hold ids or class colours.
    """

    heads: tuple[str, ...] = ()
    extra: str | None = None
    extra_format: ExtraFormat | None = None
    shades: Shades | None = None


class ShardSamples(Sequence[Sample]):
    """The samples of shards, in the order of the shards and in it of each.

    An item is found by arithmetic and by its shard's index, and reading its bytes takes one read at its offset.

    Args:
        shards: where they are.
        roles: what belongs to a sample.
    """

    def __init__(self, shards: Sequence[Shard], roles: Roles) -> None:
        self.shards = tuple(shards)
        self.roles = roles
        self._ends = list(accumulate(shard.num_samples for shard in self.shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        """
        Raises:
            DataError: the shard's index is damaged, or the sample has no picture or no mask.
        """
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        index = range(len(self))[index]
        which = bisect_right(self._ends, index)
        shard = self.shards[which]
        return _sample(shard, shard.record(index - self._ends[which] + shard.num_samples), self.roles)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __add__(self, other: "ShardSamples") -> "ShardSamples":
        return ShardSamples((*self.shards, *other.shards), self.roles)


def _sorted(record: Record) -> tuple[dict[str, list[Entry]], list[Entry], list[Entry]]:
    """The members of a sample by the word before the suffix; its pictures; its masks."""
    by_word: dict[str, list[Entry]] = {}
    for extension, entry in record.items():
        word, _, suffix = extension.rpartition(".")
        if f".{suffix}" in SUFFIXES:
            by_word.setdefault(word, []).append(entry)
        elif extension in MASK_WORDS:  # KEY.seg without a suffix
            by_word.setdefault(extension, []).append(entry)
    masks = [entry for word in MASK_WORDS for entry in by_word.get(word, ())]
    pictures = [entry for word in PICTURE_WORDS for entry in by_word.get(word, ())]
    if not masks and len(pictures) == 2:  # KEY.jpg + KEY.png
        masks = [entry for entry in pictures if entry.name.lower().endswith(".png")]
        pictures = [entry for entry in pictures if entry not in masks]
    return by_word, pictures, masks


def pictures_in(members: Iterable[Entry]) -> Iterator[Entry]:
    """The pictures among the members of a tar, which may have masks beside them or not."""
    for _, record in samples_in(members):
        yield from _sorted(record)[1]


def _sample(shard: Shard, record: Record, roles: Roles) -> Sample:
    by_word, pictures, masks = _sorted(record)
    if len(pictures) != 1 or len(masks) != 1:
        names = ", ".join(entry.name for entry in record.values())
        raise DataError(
            f"{shard.path}: a sample has {names}; expected one picture and one mask, KEY.jpg and KEY.mask.png; pack it again"
        )

    def source(entry: Entry) -> Member:
        return Member(shard.path, entry.name, entry.offset, entry.size)

    def of(word: str) -> Member:
        found = by_word.get(word.lower(), ())
        if len(found) != 1:
            raise DataError(
                f"{shard.path}: {pictures[0].name} has {len(found)} members KEY.{word}.png; dataset.yaml tells of one; "
                "correct the word, or pack it again"
            )
        return source(found[0])

    return Sample(
        name=sample_name(pictures[0].name, shard),
        picture=source(pictures[0]),
        mask=source(masks[0]),
        extra=of(roles.extra) if roles.extra else None,
        head_masks=tuple(of(word) for word in roles.heads),
        shades=roles.shades,
        extra_format=roles.extra_format,
    )


def sample_name(member: str, shard: Shard) -> str:
    """The sample's name in the name of one of its members: what stands before the first dot, decoded.

    Raises:
        DataError: as a file's name it would lead out of its folder.
    """
    folder, slash, base = member.rpartition("/")
    name = unquote(folder + slash + base.partition(".")[0]).removeprefix("./")
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or not name.isprintable():
        raise DataError(
            f"{shard.path}: holds {member!r}, a name that leads elsewhere; expected a plain one; pack it again"
        )
    return name
