"""What a sample costs out of a table, against files of its own.

    python benchmarks/tables.py DATA [--samples 60] [--group 100]

DATA: a data set whose training pictures and masks are files. They are written into a Parquet file (snappy, row groups of
--group) and an Arrow stream in a temporary folder, and then read in random order, pixels and all. Milliseconds of processor
time a sample, median and range of five rounds.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common import machine
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.describing import describe
from fullconv.data.samples import Sample, read_sample

ROUNDS = 5
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--group", type=int, default=100)
    arguments = parser.parse_args()
    files = open_dataset(arguments.data)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        parquet, arrow = Path(folder) / "parquet", Path(folder) / "arrow"
        table = table_of(files.split("train"))
        for root in (parquet, arrow):
            root.mkdir()
            (root / "dataset.yaml").write_text(describe(files, arguments.data))
        pq.write_table(table, parquet / "train.parquet", row_group_size=arguments.group)
        with (
            pa.OSFile(str(arrow / "data.arrow"), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as writer,
        ):
            writer.write_table(table, max_chunksize=arguments.group)
        (arrow / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
        for name, dataset in (
            ("files", files),
            ("parquet", open_dataset(parquet)),
            ("arrow", open_dataset(arrow)),
        ):
            times = milliseconds(dataset, arguments.samples)
            print(
                f"    {name:10} {statistics.median(times):6.2f} ms a sample ({min(times):.2f} to {max(times):.2f})"
            )


def table_of(samples: tuple[Sample, ...]) -> pa.Table:
    def cells(paths: list[Path]) -> pa.Array:
        return pa.array([{"bytes": path.read_bytes(), "path": path.name} for path in paths], FILE)

    pictures = [sample.picture for sample in samples if isinstance(sample.picture, Path)]
    masks = [sample.mask for sample in samples if isinstance(sample.mask, Path)]
    return pa.table({"image": cells(pictures), "mask": cells(masks)})


def milliseconds(dataset: Dataset, num_samples: int) -> list[float]:
    times = []
    for number in range(ROUNDS):
        chosen = random.Random(number).sample(dataset.split("train"), num_samples)
        start = time.process_time()
        for sample in chosen:
            read_sample(sample, dataset.labels)
        times.append((time.process_time() - start) * 1000 / num_samples)
    return times


if __name__ == "__main__":
    main()
