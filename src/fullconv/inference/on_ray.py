"""`inference.folder.predict_files` on many machines, by Ray Data.

The driver finds the pictures, hands them out in chunks, and alone writes the records; actors load the model once, and write
masks beside their names before they give them those. So a chunk that is done twice, because its worker was killed after half
of it, does no harm, and each record is written once.

Source: Ray, "Ray Data: Advanced: Execution Configurations" and "Fault tolerance",
https://docs.ray.io/en/latest/data/execution-configurations.html
"""

import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fullconv import errors
from fullconv.data.sources import PictureFile
from fullconv.errors import FullconvError, RunError
from fullconv.inference.folder import (
    LABEL,
    expected_files,
    identity_of,
    jobs_of,
    kind_of,
    part_of,
    suffix_of,
)
from fullconv.inference.journal import Journal, read_records
from fullconv.inference.outputs import Job, Record, Task
from fullconv.inference.ray_cluster import Pool, cluster, fitting, imported_ray, spoken
from fullconv.inference.segmenter import Segmenter
from fullconv.storage import clean, write_atomically

CHUNK = 32
"""Pictures that an actor is given at a time, at most."""

ROUNDS = ((CHUNK, 1, 2), (1, 2, 1))
"""Pictures in a chunk, how often it is tried again when its actor dies, and chunks that wait at an actor.

What is left of the first round, a second tries one by one: only what itself kills its worker fails there."""


@dataclass(frozen=True)
class Work:
    """All that an actor needs to know.

    Attributes:
        load: gives the model.
        folder: what relative paths are relative to.
        out: the folder to write into.
        kinds: what is written.
        batch_size: pictures of one size that the network sees at a time.
        model_id: tells this model from others.
        threads: of an actor's network.
    """

    load: Callable[[], Segmenter]
    folder: str
    out: Path
    kinds: frozenset[str]
    batch_size: int
    model_id: str
    threads: int

    def task(self) -> Task:
        """Loads the model."""
        import torch

        os.chdir(self.folder)
        torch.set_num_threads(self.threads)
        segmenter = self.load()
        identity = identity_of(self.model_id, self.kinds, segmenter)
        return Task(segmenter, self.out, self.kinds, self.batch_size, identity)


@dataclass(frozen=True)
class Chunk:
    """Pictures that are handed out together."""

    jobs: tuple[Job, ...]


class Labeller:
    """An actor: chunks of jobs go in, records come out as JSON; where the work fails as a whole, what failed."""

    def __init__(self, work: Work) -> None:
        self.task = work.task()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        jobs = [job for chunk in batch["chunk"] for job in chunk.jobs]
        try:
            records = [
                record for kind, some in groupby(jobs, kind_of) for record in LABEL[kind](self.task, some)
            ]
        except Exception as error:  # Ray would take it for a worker's death, and try again
            records = [{"fault": fault(error)}]
        return {"record": [json.dumps(record) for record in records]}


def predict_on_ray(
    load: Callable[[], Segmenter],
    sources: Sequence[PictureFile],
    out: Path,
    kinds: set[str],
    extra: Path | None = None,
    *,
    model_id: str,
    device: str = "auto",
    batch_size: int = 1,
    shard: tuple[int, int] = (1, 1),
    cpus: int | None = None,
) -> Iterator[Record]:
    """The files and records of `predict_files`, and a table of them, `out`/predictions.parquet; records come as they are ready.

    An interrupted run goes on, here or there. Model, sources and `out` must have the same paths on all machines. The
    cluster is that of RAY_ADDRESS, or one that runs here; else one of this machine's, for as long as it takes.

    Args:
        load: gives the model; it is called on the workers.
        sources, out, kinds, extra, model_id, batch_size, shard: see `predict_files`; records are written in any case.
        device: "cpu" leaves GPUs alone; else an actor has one where the cluster has some.
        cpus: of an actor; None: `CPUS`, or as many as there are.

    Raises:
        ConfigError: Ray is missing, or the cluster has no machine that fits.
        RunError: the cluster went away, or all of it is taken.
        StorageError: the disk is full or may not be written.
    """
    ray = imported_ray()
    suffix = suffix_of(shard)
    jobs, wanted = part_of(jobs_of(sources, extra), shard), frozenset(kinds | {"json"})
    with cluster(ray):
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        pool = fitting(nodes, ray.available_resources(), device != "cpu", cpus)
        work = Work(load, os.getcwd(), out, wanted, batch_size, model_id, pool.cpus)
        out.mkdir(parents=True, exist_ok=True)
        identity = described(ray, work, pool)
        with Journal(out, jobs, identity, lambda job: expected_files(job, wanted), suffix) as journal:
            yield from ({**record, "skipped": True} for record in journal.earlier.values())
            left = {str(job.source): job for job in jobs if str(job.source) not in journal.earlier}
            for record in labelled(ray, left, work, pool):
                journal.append(record)
                yield record
    if shard[1] == 1:
        clean(out)
    write_table(read_records(journal.path), out / f"predictions{suffix}.parquet")


def labelled(ray: Any, left: dict[str, Job], work: Work, pool: Pool) -> Iterator[Record]:
    """A record for each job, once; of one that kills its workers, "source" and "error"."""
    for size, retries, waiting in ROUNDS:
        jobs = list(left.values())
        size = max(1, min(size, len(jobs) // (4 * pool.count)))
        chunks = [Chunk(tuple(jobs[at : at + size])) for at in range(0, len(jobs), size)]
        for record in run(ray, chunks, work, pool, retries, waiting) if chunks else ():
            if left.pop(record["source"], None) is not None:
                yield record
    for source in left:
        told = "kills the process that labels it; perhaps it needs more memory than there is; give --tile, such as --tile 512"
        yield {"source": source, "error": f"{source}: {told}"}


def run(
    ray: Any, chunks: Sequence[Chunk], work: Work, pool: Pool, retries: int, waiting: int
) -> Iterator[Record]:
    """The records of chunks, as they are ready; none of those that an actor died of once more than `retries`."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    with warnings.catch_warnings():
        # Nothing else limits the retries, which have no end by themselves.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        dataset = ray.data.from_items(
            [{"chunk": chunk} for chunk in chunks], override_num_blocks=len(chunks)
        ).map_batches(
            Labeller,
            fn_constructor_args=(work,),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(
                size=min(pool.count, len(chunks)), max_tasks_in_flight_per_actor=waiting
            ),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus or None,
            max_restarts=-1,
            max_task_retries=retries,
        )
    with spoken(ray):
        for row in dataset.iter_rows():
            record = json.loads(row["record"])
            raise_fault(record)
            yield record


def described(ray: Any, work: Work, pool: Pool) -> dict[str, Any]:
    """The run's identity, as a worker knows it: by its devices. Says at once what is wrong with the model.

    Raises:
        FullconvError: what loading the model raises there.
    """

    def identity() -> dict[str, Any]:
        try:
            return work.task().identity or {}
        except Exception as error:
            return {"fault": fault(error)}

    with spoken(ray):
        told = ray.get(ray.remote(num_cpus=pool.cpus, num_gpus=pool.gpus, max_retries=0)(identity).remote())
    raise_fault(told)
    return told


def fault(error: Exception) -> list[str]:
    """The name of an error of ours, and what it says."""
    if isinstance(error, FullconvError):
        return [type(error).__name__, str(error)]
    return ["RunError", f"a worker failed: {type(error).__name__}: {' '.join(str(error).split())}"]


def raise_fault(told: Mapping[str, Any]) -> None:
    if "fault" in told:
        name, message = told["fault"]
        kind = getattr(errors, name)
        raise (RunError if name == "UnknownNameError" else kind)(message)


def write_table(records: Sequence[Record], path: Path) -> None:
    """Writes records as Parquet: path, height, width, classes (name: share), mask, seconds and error of each."""
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.int32()
    schema = pyarrow.schema(
        [
            ("path", text), ("height", number), ("width", number), ("classes", pyarrow.map_(text, pyarrow.float64())),
            ("mask", text), ("seconds", pyarrow.float64()), ("error", text),
        ]
    )  # fmt: skip
    rows = [
        {
            "path": record["source"],
            "classes": list(record.get("classes", {}).items()),
            **{name: record.get(name) for name in ("height", "width", "mask", "seconds", "error")},
        }
        for record in records
    ]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), buffer)
    write_atomically(path, buffer.getvalue())
