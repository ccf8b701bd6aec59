"""Damaged picture files through the application: a picture or a refusal, and never long."""

import asyncio
import io
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from service_helpers import application, code_of, image, picture_of

EXPECTED = {200, 400, 413, 415}


def sound_files() -> list[bytes]:
    picture = Image.fromarray(picture_of(48, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [
        ("JPEG", "RGB", {"exif": exif}), ("JPEG", "CMYK", {}), ("JPEG", "L", {"progressive": True}),
        ("PNG", "RGB", {"exif": exif}), ("PNG", "P", {}), ("PNG", "LA", {}), ("PNG", "1", {}), ("PNG", "I;16", {}),
        ("WEBP", "RGB", {"lossless": True}), ("WEBP", "RGBA", {"exif": exif}), ("GIF", "P", {}), ("BMP", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "L", {}), ("PPM", "RGB", {}),
    ]  # fmt: skip
    files = []
    for form, mode, options in kinds:
        stream = io.BytesIO()
        picture.convert("I" if mode == "I;16" else mode).convert(mode).save(stream, form, **options)
        files.append(stream.getvalue())
    return files


def damaged(count: int) -> Iterator[bytes]:
    generator = np.random.default_rng(0)
    files = sound_files()
    for index in range(count):
        content = bytearray(files[index % len(files)])
        how = generator.integers(4)
        if how == 0:
            del content[int(generator.integers(len(content))) :]
        elif how == 1:
            start = int(generator.integers(len(content)))
            content[start : start + int(generator.integers(64))] = generator.bytes(
                int(generator.integers(64))
            )
        else:
            # heads are short, and most of what can go wrong is there
            end = len(content) if how == 2 else min(len(content), 200)
            for place in generator.integers(end, size=int(generator.integers(1, 9))):
                content[place] = generator.integers(256)
        yield bytes(content)


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_files(count):
    async def main() -> tuple[Counter, float]:
        statuses, longest = Counter(), 0.0
        async with application() as (client, _):
            for content in damaged(count):
                began = time.process_time()  # of this process alone: a busy machine must not fail a test
                reply = await client.post("/v1/predict?output=mask", files=image(content))
                longest = max(longest, time.process_time() - began)
                statuses[reply.status_code] += 1
                if reply.status_code != 200:
                    code_of(reply)
        return statuses, longest

    statuses, longest = asyncio.run(main())
    assert set(statuses) <= EXPECTED, statuses
    assert statuses[200] > count / 20
    assert statuses[400] > count / 20
    assert longest < 1
