"""Predictions for many files, pictures, rasters and videos, written as they come."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import fullconv
from fullconv.data.files import files_by_key
from fullconv.data.pictures import SUFFIXES
from fullconv.data.sources import PictureFile
from fullconv.errors import InputError
from fullconv.inference.addresses import is_address, members, stem_of, stored
from fullconv.inference.journal import Journal
from fullconv.inference.outputs import Job, Record, Task, files_of
from fullconv.inference.pipeline import label_pictures
from fullconv.inference.rasters import label_rasters, raster_files
from fullconv.inference.segmenter import Segmenter
from fullconv.inference.tiffs import is_raster
from fullconv.inference.video import VIDEO_SUFFIXES, label_videos, video_files

Item = TypeVar("Item")

LABELLED = SUFFIXES | VIDEO_SUFFIXES
"""Files with these ends are taken where a folder is searched."""

LABEL: dict[str, Callable[[Task, Iterable[Job]], Iterator[Record]]] = {
    "picture": label_pictures,
    "raster": label_rasters,
    "video": label_videos,
}
"""Kind of file -> what labels such files."""


def find_pictures(
    sources: Sequence[str], suffixes: frozenset[str] = SUFFIXES, but: Path | None = None
) -> list[Path]:
    """The files that files, folders and globs name, each once, in order.

    Args:
        sources: names.
        suffixes: the files that are taken out of folders.
        but: a folder that may lie in one of these and is left out.

    Raises:
        InputError: a source that names nothing.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes)
        elif path.exists():
            files = [path]
        else:
            files = sorted(Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file())
        if but is not None and files != [path]:
            own = os.path.abspath(but) + os.sep
            files = [file for file in files if not os.path.abspath(file).startswith(own)]
        if not files:
            what = "holds no picture" if path.is_dir() else "does not exist"
            raise InputError(
                f"{source} {what}; expected picture files ({', '.join(sorted(suffixes))}), folders or globs"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def find_sources(sources: Sequence[str], but: Path | None = None) -> list[PictureFile]:
    """`find_pictures` with rasters and videos, the pictures in tar shards, and those at addresses such as s3://BUCKET/FOLDER.

    Raises:
        InputError: a source that names nothing, or a store that cannot be reached.
        DataError: a tar is damaged.
    """
    found: dict[PictureFile, None] = {}
    for source in sources:
        if is_address(source):
            files: list[PictureFile] = [*stored(source)]
        else:
            paths = find_pictures([source], LABELLED | {".tar"}, but)
            files = [file for path in paths for file in (members(path) if path.suffix == ".tar" else [path])]
        if not files:
            raise InputError(f"{source} holds no picture; expected pictures ({', '.join(sorted(SUFFIXES))})")
        found.update(dict.fromkeys(files))
    return list(found)


def predict_files(
    segmenter: Segmenter,
    sources: Sequence[PictureFile],
    out: Path,
    kinds: set[str],
    extra: Path | None = None,
    *,
    batch_size: int = 1,
    shard: tuple[int, int] = (1, 1),
    model_id: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Iterator[Record]:
    """Labels each file, writes what `kinds` asks for, and yields its record, in order.

    A record holds "source", the files of each kind, "height", "width", "classes" (name: share) and "seconds", or "source"
    and "error". Further heads have masks, overlays and scores in folders that end in their name, and records of their own in
    "heads". With "json" among the kinds, the records are lines of `out`/predictions.jsonl, written as they come.

    Args:
        segmenter: labels them.
        sources: pictures, rasters (see `rasters`) and videos (see `video`); pictures may be packed or stored elsewhere.
        out: the folder to write into; made where it is missing.
        kinds: what is written: keys of `outputs.FILES`, and "json".
        extra: a folder with the files of the further channels, named like the pictures.
        batch_size: so many pictures of one size, one after the other, go through the network in one pass.
        shard: (I, N) takes every N-th file from the I-th on, counted from 1, so that N processes can share a list; the records
            are then in predictions-I-of-N.jsonl.
        model_id: tells this model from others. With it a run that was interrupted goes on: files that `out` already holds the
            results of, from the same model and the same options, are not labelled again; their records say "skipped". It
            needs "json" among the kinds.
        progress: is told how far a large file is.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    jobs = part_of(jobs_of(sources, extra), shard)
    identity = None if model_id is None else identity_of(model_id, kinds, segmenter)
    task = Task(segmenter, out, frozenset(kinds), batch_size, identity, progress)
    yield from journaled(jobs, out, task.kinds, shard, identity, lambda kind, some: LABEL[kind](task, some))


def journaled(
    jobs: Sequence[Job],
    out: Path,
    kinds: frozenset[str],
    shard: tuple[int, int],
    identity: dict[str, Any] | None,
    label: Callable[[str, Iterable[Job]], Iterator[Record]],
) -> Iterator[Record]:
    """The records of jobs: of those that an earlier run has done, its own; those of the others are written as they come.

    Args:
        jobs: of this shard.
        out: the folder to write into; made where it is missing.
        kinds, shard: see `predict_files`.
        identity: what tells this run's results from those of others; see `Journal`.
        label: does jobs of one kind ("picture", "raster" or "video").
    """
    out.mkdir(parents=True, exist_ok=True)
    if "json" not in kinds:
        for kind, some in groupby(jobs, kind_of):
            yield from label(kind, some)
        return
    with Journal(out, jobs, identity, lambda job: expected_files(job, kinds), suffix_of(shard)) as journal:
        for kind, some in groupby(
            jobs, lambda job: "" if str(job.source) in journal.earlier else kind_of(job)
        ):
            if not kind:
                yield from ({**journal.earlier[str(job.source)], "skipped": True} for job in some)
                continue
            for record in label(kind, some):
                journal.append(record)
                yield record


def part_of(items: Sequence[Item], shard: tuple[int, int]) -> Sequence[Item]:
    """
    >>> part_of("abcde", (2, 3))
    'be'
    """
    number, count = shard
    return items[number - 1 :: count]


def suffix_of(shard: tuple[int, int]) -> str:
    """What the names of a shard's records and table end in.

    >>> suffix_of((1, 1)), suffix_of((2, 3))
    ('', '-2-of-3')
    """
    number, count = shard
    return "" if count == 1 else f"-{number}-of-{count}"


def jobs_of(sources: Sequence[PictureFile], extra: Path | None) -> list[Job]:
    companions = files_by_key(extra) if extra is not None else {}
    return [
        Job(
            source,
            name,
            None if extra is None else companions.get(stem_of(source), extra / f"{stem_of(source)}.png"),
        )
        for source, name in zip(sources, unique_names(sources), strict=True)
    ]


def kind_of(job: Job) -> str:
    if not isinstance(job.source, Path):
        return "picture"
    if job.source.suffix.lower() in VIDEO_SUFFIXES:
        return "video"
    return "raster" if is_raster(job.source) else "picture"


def expected_files(job: Job, kinds: frozenset[str]) -> dict[str, str]:
    """Kind -> what a job writes, relative to the run's folder."""
    return {"picture": files_of, "raster": raster_files, "video": video_files}[kind_of(job)](job.name, kinds)


def identity_of(model_id: str, kinds: Iterable[str], segmenter: Segmenter) -> dict[str, Any]:
    """What the results depend on besides the files, wherever they are made: a run goes on where all of it is the same."""
    engine, tiler = segmenter.engine, segmenter.tiler
    return {
        "model": model_id,
        "kinds": sorted(kinds),
        "version": fullconv.__version__,
        "engine": engine.name,
        "device": engine.device.type,
        "precision": engine.precision,
        "passes": getattr(engine, "passes", None),
        "tile": tiler.tile,
        "overlap": tiler.overlap,
        "refine": segmenter.refine,
    }


def unique_names(pictures: Sequence[PictureFile]) -> list[str]:
    """A name per file: its stem; where stems meet, with what tells them apart.

    >>> unique_names([Path("a/x.jpg"), Path("b/x.jpg"), Path("b/x.png"), Path("b/y.png")])
    ['x', 'x_2', 'x_3', 'y']
    """
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    names = []
    for picture in pictures:
        name = stem = stem_of(picture)
        while name in taken:
            numbers[stem] = numbers.get(stem, 1) + 1
            name = f"{stem}_{numbers[stem]}"
        taken.add(name)
        names.append(name)
    return names
