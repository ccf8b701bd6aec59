"""The table of public sets is complete and consistent."""

import re

import pytest

from fullconv.data.public_sets import PUBLIC_SETS, public_set
from fullconv.errors import UnknownNameError


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_what_is_told_of_each_set(name):
    each = public_set(name)
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert each.page.startswith(("https://", "http://"))
    assert 0 < len(each.licence) <= 69  # a line of the list, which has 80 columns
    assert 0 < len(each.title) <= 78
    assert each.num_classes >= 2
    assert all(count > 0 for count in each.pictures.values())
    assert list(each.pictures) == [""] or set(each.pictures) <= {"train", "val", "test"}
    assert each.size > 0
    names = [archive.file.name for archive in each.archives]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_addresses_and_digests(name):
    each = PUBLIC_SETS[name]
    for archive in each.archives:
        assert bool(archive.file.addresses) is not bool(each.account)
        for address in archive.file.addresses:
            assert re.fullmatch(r"https?://[a-z0-9.-]+/[\w./~-]+", address)
        assert re.fullmatch(r"(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}|)", archive.file.digest)
        assert archive.size > 0
        secure = [address.startswith("https") for address in archive.file.addresses]
        assert (
            archive.file.digest
            or each.account
            or any(secure)
            or name in ("stanford-background", "sift-flow")
            or (name in ("camvid32", "coco-stuff"))
        ), "a file without a digest should come encrypted where it can be had so"


def test_a_name_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="unknown data set 'voc2013'; did you mean 'voc2012'"):
        public_set("voc2013")
