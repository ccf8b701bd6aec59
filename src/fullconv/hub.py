"""Bundles on the Hugging Face Hub: `hf:owner/name`, or `hf:owner/name@revision`, a branch, tag or commit.

Only the files of a bundle are fetched, and nothing in them is code; they lie in the Hub library's own cache, from which they
load without a network too. HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE mean what they mean everywhere.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from fullconv.errors import BundleError, InputError, RunError

PREFIX = "hf:"

CARD_HEAD = """\
---
library_name: fullconv
pipeline_tag: image-segmentation
tags:
- semantic-segmentation
- fully-convolutional-network
---

"""
"""What the Hub reads of a card. The licence is the author's to add there."""


def is_address(model: str | Path) -> bool:
    """
    >>> is_address("hf:owner/name@v1"), is_address("runs/first")
    (True, False)
    """
    return str(model).startswith(PREFIX)


def parts(address: str) -> tuple[str, str | None]:
    """The repository and, where one is named, the revision.

    Raises:
        InputError: it is no address.

    >>> parts("hf:owner/name@v1"), parts("hf:owner/name")
    (('owner/name', 'v1'), ('owner/name', None))
    """
    found = re.fullmatch(rf"{PREFIX}(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?", address)
    if found is None:
        raise InputError(
            f"{address!r} is no address on the Hub; expected hf:owner/name or hf:owner/name@revision"
        )
    return found[1], found[2]


def fetch(address: str, names: Sequence[str]) -> Path:
    """The folder that holds these files of a repository, all of one commit; downloaded where the cache lacks them.

    Raises:
        InputError: it is no address.
        BundleError: they cannot be had.
    """
    from huggingface_hub import hf_hub_download

    repository, revision = parts(address)
    folder = None
    for name in names:
        try:
            folder = Path(hf_hub_download(repository, name, revision=revision)).parent
        except Exception as error:  # the library lets its HTTP client's errors through, too
            raise BundleError(
                f"no {name} from {address} ({reason_of(error)}); expected a public model of fullconv, or HF_TOKEN set for a "
                "private one"
            ) from None
        revision = folder.name  # a branch may move on between two files; a commit does not
    assert folder is not None
    return folder


def push(folder: Path, repository: str, names: Sequence[str], card: str, private: bool, message: str) -> str:
    """Uploads files of a folder as one commit; the repository is made where there is none.

    Args:
        folder: the bundle.
        repository: "owner/name".
        names: of the files.
        card: the README.md.
        private: whether a new repository is.
        message: of the commit.

    Returns:
        The commit's id, by which a `hf:owner/name@revision` stays the same for ever.

    Raises:
        InputError: no such name for a repository.
        RunError: the Hub refused, or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    parts(PREFIX + repository)
    files = [
        *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(folder / name)) for name in names),
        CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=(CARD_HEAD + card).encode()),
    ]
    try:
        hub = HfApi()
        hub.create_repo(repository, private=private, exist_ok=True)
        return hub.create_commit(repository, files, commit_message=message).oid
    except Exception as error:  # the library lets its HTTP client's errors through, too
        raise RunError(
            f"{repository} could not be uploaded ({reason_of(error)}); log in with 'hf auth login' or set HF_TOKEN"
        ) from None


def reason_of(error: Exception) -> str:
    """The first line of what the library says, without its request ids."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\s*\(Request ID: [^)]*\)", "", lines[0]) if lines else type(error).__name__
