"""The list of a split's shards: a file SPLIT.json beside them.

It is in the format of wids, the random access part of the WebDataset library, which can read it too. Each entry has
the SHA-256 of its shard besides.

Source: webdataset, wids, "wids-shard-index-v1": `extract_shardlist`,
https://github.com/webdataset/webdataset/blob/main/src/wids/wids_specs.py
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fullconv.errors import DataError

KIND = "wids-shard-index-v1"

MOST_BYTES = 1 << 28
"""The longest list that is read; a shard takes about two hundred bytes."""


class ShardEntry(BaseModel):
    """A shard of the list: its file, beside the list or below, how many samples and bytes it has, and its SHA-256."""

    model_config = ConfigDict(frozen=True)
    url: str
    nsamples: int = Field(ge=0, le=10**12)
    filesize: int | None = Field(default=None, ge=0, le=2**60)
    sha256: str | None = None


class Catalog(BaseModel):
    """A split's shards, in order."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)
    kind: Literal["wids-shard-index-v1"] = Field(default=KIND, alias="__kind__")
    wids_version: Literal[1] = 1
    name: str | None = None
    shardlist: tuple[ShardEntry, ...] = Field(min_length=1)

    def text(self) -> str:
        """As JSON, a line to each shard."""
        told = self.model_dump(by_alias=True, exclude={"shardlist"}, exclude_none=True)
        lines = ",\n".join(f"  {json.dumps(entry.model_dump(exclude_none=True))}" for entry in self.shardlist)
        return f'{json.dumps(told)[:-1]}, "shardlist": [\n{lines}\n]}}\n'


def is_catalog(path: Path) -> bool:
    """Whether a JSON file begins as such a list does."""
    try:
        with path.open("rb") as file:
            return KIND.encode() in file.read(512)
    except OSError:
        return False


def read_catalog(path: Path) -> Catalog:
    """Reads a list of shards.

    Raises:
        DataError: it cannot be read, or says what cannot be.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES)
        catalog = Catalog.model_validate(json.loads(text))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise DataError(
            f"{path}: {place}: {fault['msg']}; expected a list of shards; pack the data set again"
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: is not JSON; expected a list of shards; copy it again") from None
    for entry in catalog.shardlist:
        parts = entry.url.split("/")
        if (
            ":" in entry.url
            or "\\" in entry.url
            or not {"", ".", ".."}.isdisjoint(parts)
            or "\0" in entry.url
        ):
            raise DataError(
                f"{path}: lists {entry.url!r}; expected files beside it, such as train-000000.tar; download them first"
            )
    return catalog
