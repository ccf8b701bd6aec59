"""Files from elsewhere, fetched once, whole and checked, and unpacked without harm."""

from fullconv.download.archives import unpack
from fullconv.download.files import RemoteFile, cache_folder, digest, download, fetch
from fullconv.download.transfer import answers

__all__ = ["RemoteFile", "answers", "cache_folder", "digest", "download", "fetch", "unpack"]
