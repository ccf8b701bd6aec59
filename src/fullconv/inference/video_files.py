"""Reading and writing the frames of a video, with their times as exact fractions."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fullconv.errors import ConfigError, InputError, PictureError
from fullconv.inference.outputs import storing

CODECS = ("libx264", "libopenh264", "mpeg4")
"""H.264 where the installed FFmpeg has it."""


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        index: counted from 0.
        pts: its time, in units of the reader's `time_base`; larger than that of the frame before.
        duration: in the same units; 0 where it is not known.
        picture: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    pts: int
    duration: int
    picture: np.ndarray


class VideoReader:
    """The frames of a video, in the order in which they are shown, turned as its metadata says.

    Iteration ends where the file is damaged; `error` then says so.

    Args:
        path: the file.

    Attributes:
        time_base: seconds per unit of time.
        num_frames: as the header says, or 0.
        error: what is wrong with the file, in one line, or "".

    Raises:
        ConfigError: PyAV is not installed.
        PictureError: the file cannot be read, or holds no video.
    """

    def __init__(self, path: Path) -> None:
        av = import_av(path)
        self.path = path
        self.error = ""
        try:
            self.container = av.open(str(path), metadata_errors="ignore")
        except (av.FFmpegError, OSError) as error:
            raise PictureError(
                f"{path}: is no video, or a damaged one ({said(error)}); copy or export it again"
            ) from None
        if not self.container.streams.video:
            self.container.close()
            raise PictureError(f"{path}: holds no video; expected MP4, MOV, MKV, WebM or AVI; remove it")
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.time_base: Fraction = self.stream.time_base
        self.rate = Fraction(self.stream.average_rate or 25)
        self.num_frames = self.stream.frames
        self.bytes_per_frame = 3 * self.stream.codec_context.height * self.stream.codec_context.width

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Frame]:
        before = None
        for index, decoded in enumerate(self.decoded()):
            pts = decoded.pts
            step = max(1, round(1 / (self.rate * self.time_base)))
            if pts is None or (before is not None and pts <= before.pts):
                pts = 0 if before is None else before.pts + (before.duration or step)
            turns = round(decoded.rotation / 90) % 4
            picture = np.ascontiguousarray(np.rot90(decoded.to_ndarray(format="rgb24"), turns))
            if before is not None and picture.shape != before.picture.shape:
                self.error = (
                    f"{self.path}: changes its size at frame {index}, where it was left off; cut it there"
                )
                return
            before = Frame(index, pts, decoded.duration or 0, picture)
            yield before
        end = 0 if before is None else (before.pts + before.duration) * self.time_base
        if not self.error and end + Fraction(3, 2) / self.rate < self.expected_end():
            self.error = f"is cut short: it ends after {float(end):.1f} s"
        if self.error:
            count = 0 if before is None else before.index + 1
            self.error = f"{self.path}: {self.error}; {count} frames before are kept; copy or export it again"

    def decoded(self) -> Iterator[Any]:
        """PyAV's frames, up to the damage, if there is any."""
        av = import_av(self.path)
        try:
            for packet in self.container.demux(self.stream):
                if packet.is_corrupt:
                    self.error = "is cut short"
                    break
                yield from packet.decode()
        except (av.FFmpegError, OSError) as error:
            self.error = f"is damaged ({said(error)})"
        if self.error:
            try:
                yield from self.stream.codec_context.decode(None)  # frames that the decoder holds back
            except (av.FFmpegError, OSError):
                return

    def expected_end(self) -> Fraction:
        """Seconds at which a Matroska video ends by its header, 0 where that is not known; other formats mark what is cut."""
        if self.stream.duration is not None or len(self.container.streams) > 1 or not self.container.duration:
            return Fraction(0)
        return Fraction(self.container.duration, 1_000_000)


class VideoWriter:
    """An MP4 file whose frames have the times that they are given.

    Args:
        path: the file.
        time_base: seconds per unit of time.
        rate: frames per second, about; players go by the frames' times.
    """

    def __init__(self, path: Path, time_base: Fraction, rate: Fraction) -> None:
        self.path = path
        self.time_base = time_base
        self.rate = min(max(1, round(rate)), 1000)
        self.container: Any = None
        self.num_frames = 0
        self.times: deque[tuple[int, int]] = deque()

    def write(self, picture: np.ndarray, pts: int, duration: int) -> None:
        """Adds an (H, W, 3) uint8 frame; all of a video are of one size.

        Raises:
            StorageError: the disk is full or may not be written.
            InputError: the encoder cannot do it.
        """
        av = import_av(self.path)
        with self.trouble_said():
            if self.container is None:
                self.open(picture.shape[0], picture.shape[1])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            # The encoder counts frames; it never meets times that its format could not hold.
            frame.pts = self.num_frames
            self.num_frames += 1
            self.times.append((pts, duration))
            self.mux(self.stream.encode(frame))

    def open(self, height: int, width: int) -> None:
        is_even = height % 2 == 0 and width % 2 == 0
        av = import_av(self.path)
        codec = next(
            name for name in CODECS if name in av.codecs_available and (is_even or name != "libopenh264")
        )
        # Without this the MP4's start is rounded to milliseconds.
        options = {"movie_timescale": str(self.time_base.denominator)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.container = av.open(str(self.path), "w", format="mp4", options=options)
        quality = {"crf": "20", "preset": "veryfast"} if codec == "libx264" else {}
        # Without B frames packets leave the encoder in the order of the frames.
        self.stream = self.container.add_stream(codec, rate=self.rate, options={**quality, "bf": "0"})
        self.stream.height, self.stream.width = height, width
        self.stream.pix_fmt = "yuv420p" if is_even or codec != "libx264" else "yuv444p"
        self.stream.time_base = self.time_base
        if codec != "libx264":
            self.stream.bit_rate = height * width * self.rate // 5

    def mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.pts, packet.duration = self.times.popleft()
            packet.dts = packet.pts
            packet.time_base = self.time_base
            self.container.mux(packet)

    def close(self) -> None:
        """Ends the file; without a frame there is none."""
        if self.container is not None:
            with self.trouble_said():
                self.mux(self.stream.encode(None))
                self.container.close()

    @contextmanager
    def trouble_said(self) -> Iterator[None]:
        av = import_av(self.path)
        try:
            with storing(self.path):
                yield
        except av.FFmpegError as error:
            raise InputError(
                f"{self.path}: cannot be encoded ({said(error)}); leave overlay out of --save"
            ) from None


def import_av(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise ConfigError(
            f"{path}: is a video, and PyAV, which reads it, is not installed; pip install 'fullconv[video]'"
        ) from None
    return av


def said(error: Exception) -> str:
    """The first line of what FFmpeg says, without its number."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
