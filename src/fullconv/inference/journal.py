"""`predictions.jsonl`: a record per file, line by line as the work goes, so that an interrupted run can go on."""

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fullconv.inference.addresses import modified_ns
from fullconv.inference.outputs import SYNC_SECONDS, Job, Record, storing
from fullconv.storage import write_text_atomically


class Journal:
    """The records of a run.

    Args:
        out: the run's folder.
        jobs: what the run is about, in order.
        identity: what the records depend on besides the files. Records of an earlier run with the same identity are taken
            over as far as their files are there, and newer than their source; None: none are.
        files_of: the files that a job is expected to have written, by kind.
        suffix: of the file's name.

    Attributes:
        earlier: source -> its record of an earlier run.
    """

    def __init__(
        self,
        out: Path,
        jobs: Sequence[Job],
        identity: dict[str, Any] | None,
        files_of: Callable[[Job], dict[str, str]],
        suffix: str = "",
    ) -> None:
        self.path = out / f"predictions{suffix}.jsonl"
        self.order = {str(job.source): place for place, job in enumerate(jobs)}
        self.earlier: dict[str, Record] = {}
        text = json.dumps(identity, sort_keys=True)
        identity_path = out / f".predict{suffix}.json"
        with storing(self.path):
            if identity is None or not identity_path.exists() or identity_path.read_text() != text:
                # In this order: were the run stopped in between, old records would pass for new ones.
                self.path.unlink(missing_ok=True)
                write_text_atomically(identity_path, text)
            records = {record["source"]: record for record in read_records(self.path)}
            for job in jobs:
                record = records.get(str(job.source))
                if record is not None and still_holds(record, job, out, files_of(job)):
                    self.earlier[str(job.source)] = record
        self.write_all(self.earlier.values())
        self.synced = time.monotonic()
        self.last, self.in_order = -1, not self.earlier

    def write_all(self, records: Iterable[Record]) -> None:
        write_text_atomically(self.path, "".join(json.dumps(record) + "\n" for record in records))

    def __enter__(self) -> "Journal":
        with storing(self.path):
            self.file = self.path.open("a", encoding="utf-8")
        return self

    def append(self, record: Record) -> None:
        place = self.order[record["source"]]
        self.in_order, self.last = self.in_order and place > self.last, place
        with storing(self.path):
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
            if time.monotonic() - self.synced > SYNC_SECONDS:
                os.fsync(self.file.fileno())
                self.synced = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with storing(self.path):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        if error is None and not self.in_order:
            records = read_records(self.path)
            self.write_all(sorted(records, key=lambda record: self.order[record["source"]]))


def read_records(path: Path) -> list[Record]:
    """The records of a file whose last line may have been cut short.

    >>> read_records(Path("nowhere"))
    []
    """
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "source" in record:
            records.append(record)
    return records


def still_holds(record: Record, job: Job, out: Path, files: dict[str, str]) -> bool:
    """Whether all that a record tells of is there, under the names that it has now, and made of the source as it is now."""
    if not files or "error" in record or any(record.get(kind) != file for kind, file in files.items()):
        return False
    try:
        changed = modified_ns(job.source)
        return all((out / file).stat().st_mtime_ns >= changed for file in files.values())
    except OSError:
        return False
