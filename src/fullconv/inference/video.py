"""Videos: every frame labelled, and shown again under its classes at the very time it had.

Frames are read, and others written, while the network is at work on one. Output frames carry their input frame's time as an
exact fraction, so variable frame rates stay what they were. Sound is left out.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count as counted_on
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fullconv.data.masks import read_stored
from fullconv.drawing import overlay
from fullconv.errors import InputError
from fullconv.inference.outputs import (
    Answer,
    Job,
    Record,
    Task,
    answer_of,
    count,
    into_place,
    save_mask,
    storing,
)  # fmt: skip
from fullconv.inference.pipeline import batches, one_by_one
from fullconv.inference.video_files import Frame, VideoReader, VideoWriter
from fullconv.lookahead import ahead, pool

VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi"))

KINDS = frozenset({"mask", "overlay"})


@dataclass(frozen=True)
class Seen:
    """A frame, and what the network says of it."""

    frame: Frame
    answer: Answer


@dataclass(frozen=True)
class Painted:
    """A frame that is ready to be shown: (H, W, 3) uint8 RGB, or None where no video is wanted, and pixels per class."""

    frame: Frame
    picture: np.ndarray | None
    counts: np.ndarray


def label_videos(task: Task, jobs: Iterable[Job]) -> Iterator[Record]:
    """Labels videos one after the other, and yields a record for each.

    `videos/NAME.mp4` shows the frames under their classes, `masks/NAME/000123.png` are the frames' label maps, and
    `videos/NAME.jsonl` has a line per frame: its number, its time in seconds, and the shares of its classes. A record holds,
    besides what that of a picture does, "frames" and "duration" in seconds. Where a video is damaged, the frames before are
    kept, and the record has an "error".
    """
    return one_by_one(task, jobs, label_video)


def video_files(name: str, kinds: frozenset[str], suffix: str = "") -> dict[str, str]:
    """Kind -> file, or of masks their folder, relative to the run's folder."""
    files = {"mask": f"masks{suffix}/{name}", "overlay": f"videos{suffix}/{name}.mp4"}
    return {kind: file for kind, file in files.items() if kind in kinds}


def label_video(task: Task, job: Job) -> Record:
    """Writes the files of a video and gives its record.

    Raises:
        InputError: the video, or what is asked for, is refused.
        StorageError: the disk is full or may not be written.
    """
    task.refuse_beyond(KINDS, f"{job.path}: is a video")
    began = time.perf_counter()
    shown = task.out / "videos" / f"{job.name}.mp4"
    partial_path = shown.with_name(f".{job.name}.partial.mp4")
    lines_path = task.out / "videos" / f"{job.name}.jsonl"
    with (
        VideoReader(job.path) as reader,
        FrameLines(lines_path, task.identity_with(job.path) if "mask" in task.kinds else None) as lines,
    ):
        writer = VideoWriter(partial_path, reader.time_base, reader.rate)
        try:
            told = add_frames(task, job, reader, lines, writer)
            writer.close()
            if writer.num_frames:
                into_place(partial_path, shown)
            lines.finish()
        except InputError:
            lines.partial.unlink(missing_ok=True)
            raise
        finally:
            partial_path.unlink(missing_ok=True)
    seconds = round(time.perf_counter() - began, 4)
    files = video_files(job.name, task.kinds)
    return {**files, **told, "seconds": seconds} | ({"error": reader.error} if reader.error else {})


def add_frames(task: Task, job: Job, reader: VideoReader, lines: "FrameLines", writer: VideoWriter) -> Record:
    """Takes all frames through, and gives what the record tells of them."""
    labels = task.segmenter.labels
    counts, first, last = np.zeros(labels.num_classes, np.int64), None, None
    of = f" of {reader.num_frames:,}" if reader.num_frames else ""
    for painted in painted_frames(task, job, reader, lines.done, writer):
        last = painted.frame
        first = first or last
        counts += painted.counts
        if last.index >= lines.done:
            seconds = float(last.pts * reader.time_base)
            lines.append({"frame": last.index, "time": seconds, "classes": labels.shares(painted.counts)})
        task.progress(f"{job.path.name}: frame {last.index + 1:,}{of}")
    if first is None or last is None:
        raise InputError(reader.error or f"{job.path}: holds no frame; copy or export it again")
    height, width = last.picture.shape[:2]
    duration = float((last.pts + last.duration - first.pts) * reader.time_base)
    return {
        "height": height,
        "width": width,
        "frames": last.index + 1,
        "duration": duration,
        "classes": labels.shares(counts),
    }


def painted_frames(
    task: Task, job: Job, reader: VideoReader, done: int, writer: VideoWriter
) -> Iterator[Painted]:
    """The frames, after all their files but the lines have been written; of the first `done` the masks are there."""
    frames = iter(reader)
    size = reader.bytes_per_frame
    with pool(1) as decoder, pool() as painters, pool(1) as encoder:
        # One thread decodes, frame after frame; None stands for the end.
        read = ahead(decoder, lambda _: next(frames, None), counted_on(), lambda _: size)
        there = (frame for frame in takewhile(lambda frame: frame is not None, read) if frame is not None)
        seen = (
            each
            for batch in batches(there, task.batch_size, lambda frame: frame.index < done)
            for each in see(task, job, batch, done)
        )
        painted = ahead(
            painters, partial(paint, task, job), seen, lambda item: 2 * item.answer.num_bytes, True
        )
        yield from ahead(encoder, partial(encode, writer), painted, lambda item: 2 * size, True)


def see(task: Task, job: Job, batch: list[Frame], done: int) -> list[Seen]:
    """Runs the network, or reads what it said when it was interrupted."""
    if batch[0].index < done:
        return [Seen(frame, earlier_answer(task, job, frame)) for frame in batch]
    predictions = task.segmenter.predict_batch([frame.picture for frame in batch], [None] * len(batch))
    answers = [answer_of(prediction, task.kinds) for prediction in predictions]
    return [Seen(frame, answer) for frame, answer in zip(batch, answers, strict=True)]


def mask_path(task: Task, job: Job, frame: Frame, head: str = "") -> Path:
    folder = f"masks_{head}" if head else "masks"
    return task.out / folder / job.name / f"{frame.index:06}.png"


def earlier_answer(task: Task, job: Job, frame: Frame) -> Answer:
    segmenter = task.segmenter
    label_map, _ = read_stored(mask_path(task, job, frame))
    heads = {
        head.name: Answer(
            frame.picture, read_stored(mask_path(task, job, frame, head.name))[0], head.labels, {}, {}
        )
        for head in segmenter.heads
    }
    return Answer(frame.picture, label_map, segmenter.labels, {}, heads)


def paint(task: Task, job: Job, item: Seen) -> Painted:
    """Writes a frame's masks and draws it under its classes."""
    frame, answer = item.frame, item.answer
    if "mask" in task.kinds:
        save_mask(answer, mask_path(task, job, frame))
        for head, part in answer.heads.items():
            save_mask(part, mask_path(task, job, frame, head))
    picture = None
    if "overlay" in task.kinds:
        picture = np.asarray(overlay(answer.picture, answer.label_map, answer.labels, legend=False))
    return Painted(frame, picture, count(answer))


def encode(writer: VideoWriter, painted: Painted) -> Painted:
    if painted.picture is not None:
        writer.write(painted.picture, painted.frame.pts, painted.frame.duration)
    return painted


class FrameLines:
    """A video's lines of JSON, one per frame, in a file beside `path` until the video is done.

    Its first line is what the labels depend on, so that an interrupted video can be gone on with.

    Args:
        path: the file.
        identity: what the labels depend on; None: no earlier frame is taken over.

    Attributes:
        done: frames whose lines are there from an interrupted run.
    """

    def __init__(self, path: Path, identity: dict[str, Any] | None) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.done = 0
        first_line = json.dumps(identity, sort_keys=True).encode() + b"\n"
        self.start = end = len(first_line)
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.partial.open("r+b" if self.partial.exists() else "w+b")
            if identity is None or self.file.readline() != first_line:
                self.file.seek(0)
                self.file.truncate()
                self.file.write(first_line)
            for line in self.file:
                if line.endswith(b"\n"):
                    self.done += 1
                    end += len(line)
            self.file.seek(end)
            self.file.truncate()

    def __enter__(self) -> "FrameLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with storing(self.path):
            self.file.close()

    def append(self, line: Record) -> None:
        with storing(self.path):
            self.file.write(json.dumps(line).encode() + b"\n")
            self.file.flush()

    def finish(self) -> None:
        """Gives the file its name."""
        whole = self.path.with_name(f".{self.path.name}.whole")
        with storing(self.path), whole.open("wb") as file:
            self.file.seek(self.start)
            shutil.copyfileobj(self.file, file)
        into_place(whole, self.path)
        self.partial.unlink(missing_ok=True)
