"""The order of training depends on seed, epoch and index alone: not on workers, breaks or global state."""

import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.loading import Batch, TrainingSet, steps_per_epoch, training_loader
from fullconv.data.masks import write_mask
from fullconv.data.order import WindowedOrder, epoch_order, sample_generator
from fullconv.data.samples import Sample, read_sample
from fullconv.data.scenes import write_scenes
from fullconv.data.transforms import TrainTransform
from fullconv.errors import DataError, PictureError, RunError
from fullconv.labels import LabelSet

LABELS = LabelSet.from_names(["background", "bag"])
NUM_SAMPLES, BATCH = 7, 3


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(NUM_SAMPLES):
        sample = Sample(f"{index}", tmp_path / f"{index}.jpg", tmp_path / f"{index}.png")
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(sample.picture)
        write_mask(sample.mask, rng.integers(0, 2, (20, 24), np.uint8), LABELS)
        made.append(sample)
    return made


@pytest.fixture
def dataset(samples: list[Sample]) -> TrainingSet:
    return TrainingSet(samples, LABELS, TrainTransform((16, 12)), seed=5)


def assert_equal(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("num_samples", "batch_size", "steps"), [(7, 3, 2), (6, 3, 2), (2, 3, 1), (1, 1, 1)])
def test_steps_per_epoch(num_samples, batch_size, steps):
    assert steps_per_epoch(num_samples, batch_size) == steps


def test_batches_follow_the_order_of_their_epoch(dataset):
    batches = list(training_loader(dataset, BATCH, 0, 5, workers=0))
    expected = [
        epoch_order(NUM_SAMPLES, 5, step // 2)[step % 2 * BATCH :][:BATCH].tolist() for step in range(5)
    ]
    assert [batch[2].tolist() for batch in batches] == expected
    pictures, labels, indices = batches[3]
    assert (pictures.shape, pictures.dtype) == ((BATCH, 3, 16, 12), torch.uint8)
    assert (labels.shape, labels.dtype) == ((BATCH, 16, 12), torch.uint8)
    assert indices.dtype == torch.int64
    picture, label_map, index = dataset[1, expected[3][0]]
    assert torch.equal(pictures[0], picture)
    assert torch.equal(labels[0], label_map)
    assert index == expected[3][0]


def test_a_sample_is_the_transform_of_its_files(dataset, samples):
    expected = dataset.transform(*read_sample(samples[2], LABELS), sample_generator(5, 9, 2))
    picture, labels, index = dataset[9, 2]
    assert torch.equal(picture, expected[0])
    assert torch.equal(labels, expected[1])
    assert index == 2
    assert len(dataset) == NUM_SAMPLES


def test_another_epoch_and_another_seed_augment_otherwise(dataset, samples):
    other = TrainingSet(samples, LABELS, dataset.transform, seed=6)
    assert not torch.equal(dataset[0, 0][0], dataset[1, 0][0])
    assert not torch.equal(dataset[0, 0][0], other[0, 0][0])


def test_workers_do_not_change_the_batches(dataset):
    assert_equal(
        list(training_loader(dataset, BATCH, 0, 5, 2)), list(training_loader(dataset, BATCH, 0, 5, 0))
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_at_a_step_gives_the_batches_of_an_unbroken_run(dataset, workers):
    whole = list(training_loader(dataset, BATCH, 0, 6, 0))
    assert_equal(list(training_loader(dataset, BATCH, 3, 6, workers)), whole[3:])
    assert list(training_loader(dataset, BATCH, 6, 6, workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_resizing_and_colours_may_be_the_devices(dataset, workers):
    loader = training_loader(dataset, BATCH, 1, 4, workers, varied_on=torch.device("cpu"))
    expected = list(training_loader(dataset, BATCH, 1, 4, 0))
    for got, wanted in zip(loader, expected, strict=True):
        assert got[0].shape == wanted[0].shape
        assert (got[0].int() - wanted[0].int()).abs().float().mean() < 1
        assert torch.equal(got[1], wanted[1])
        assert torch.equal(got[2], wanted[2])


def test_what_the_device_varies_may_be_of_any_size(tmp_path, samples):
    """And has several heads, or cannot be read."""
    scenes = open_dataset(
        write_scenes(tmp_path / "s", num_train=4, num_val=1, size_hw=(64, 80), depth=True, geometry=True)
    )
    transform = TrainTransform((48, 40))
    dataset = TrainingSet(scenes.split("train"), scenes.labels, transform, seed=1, heads=scenes.heads)
    pictures, labels, _ = next(training_loader(dataset, 4, 0, 1, 0, varied_on=torch.device("cpu")))
    expected = next(training_loader(dataset, 4, 0, 1, 0))
    assert pictures.shape == expected[0].shape
    assert torch.equal(labels, expected[1])
    samples[4].picture.write_bytes(b"no picture")
    dataset = TrainingSet(samples, LABELS, transform, seed=5)
    with pytest.raises(PictureError, match=r"4\.jpg"):
        list(training_loader(dataset, BATCH, 0, 4, 0, varied_on=torch.device("cpu")))


@pytest.mark.parametrize("workers", [0, 2])
def test_another_order(dataset, workers):
    order = WindowedOrder(NUM_SAMPLES, seed=5, window=2)
    whole = list(training_loader(dataset, BATCH, 0, 6, 0, order=order))
    expected = [order(step // 2, np.arange(BATCH) + step % 2 * BATCH).tolist() for step in range(6)]
    assert [batch[2].tolist() for batch in whole] == expected
    again = WindowedOrder(NUM_SAMPLES, seed=5, window=2)
    assert_equal(list(training_loader(dataset, BATCH, 3, 6, workers, order=again)), whole[3:])


def test_processes_share_each_batch(dataset):
    whole = list(training_loader(dataset, BATCH, 0, 4, 0))
    shares = [list(training_loader(dataset, BATCH, 0, 4, 0, rank, 2)) for rank in range(2)]
    for one, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(one[0][0::2], first[0])
        assert torch.equal(one[0][1::2], second[0])


def test_fewer_samples_than_a_batch(dataset):
    batches = list(training_loader(dataset, 100, 0, 2, 0))
    assert [sorted(batch[2].tolist()) for batch in batches] == [list(range(NUM_SAMPLES))] * 2


@pytest.mark.parametrize("workers", [0, 2])
def test_no_global_generator_is_touched(dataset, workers):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    list(training_loader(dataset, BATCH, 0, 3, workers))
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_the_error_itself(dataset, samples, workers):
    samples[4].picture.write_bytes(b"no picture")
    with pytest.raises(PictureError) as caught:
        list(training_loader(dataset, BATCH, 0, 6, workers))
    assert str(caught.value) == (
        f"{samples[4].picture}: is not a picture; expected JPEG, PNG, WebP, BMP, TIFF, GIF or PPM; convert or remove it"
    )
    assert type(caught.value) is PictureError
    Image.new("RGB", (9, 9)).save(samples[4].picture)
    with pytest.raises(
        DataError, match=r"4\.png: is 20 x 24 \(height x width\), its picture 9 x 9; expected equal"
    ):
        list(training_loader(dataset, BATCH, 0, 6, workers))


def test_batches_before_an_error_come_through(dataset, samples):
    first = epoch_order(NUM_SAMPLES, 5, 0)
    samples[first[BATCH]].mask.unlink()
    batches = training_loader(dataset, BATCH, 0, 6, 2)
    assert next(batches)[2].tolist() == first[:BATCH].tolist()
    with pytest.raises(PictureError, match="no such file; check the path"):
        next(batches)


class _Deadly(TrainTransform):
    """Kills its process, as a system out of memory does."""

    def __call__(self, *args: object) -> tuple[torch.Tensor, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_dies(samples):
    dataset = TrainingSet(samples, LABELS, _Deadly((8, 8)), seed=0)
    with pytest.raises(
        RunError, match=r"^a loading process died, perhaps for want of memory; use fewer workers or sm"
    ):
        list(training_loader(dataset, BATCH, 0, 3, workers=1))


def test_leaving_early_ends_the_workers(dataset):
    import multiprocessing

    batches = training_loader(dataset, BATCH, 0, 1000, workers=2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


def test_extra_channels_and_heads(tmp_path: Path):
    folder = write_scenes(tmp_path / "s", 3, 1, size_hw=(64, 80), depth=True, geometry=True)
    scenes = open_dataset(folder)
    samples, transform = scenes.split("train"), TrainTransform((48, 40))
    dataset = TrainingSet(samples, scenes.labels, transform, seed=1, heads=scenes.heads)
    ((pictures, labels, indices),) = training_loader(dataset, 3, 0, 1, workers=0)
    assert (pictures.shape, pictures.dtype) == ((3, 4, 48, 40), torch.uint8)
    assert (labels.shape, labels.dtype) == ((3, 2, 48, 40), torch.uint8)
    plain = TrainingSet([replace(sample, extra=None) for sample in samples], scenes.labels, transform, seed=1)
    ((rgb, semantic, order),) = training_loader(plain, 3, 0, 1, workers=2)
    assert torch.equal(order, indices)
    assert torch.equal(rgb, pictures[:, :3])  # what is drawn does not depend on what else there is
    assert torch.equal(semantic, labels[:, 0])
    shown = labels[:, 0] < 255
    assert shown.any()
    assert (labels[:, 1][shown] < 3).all()
    things = shown & (labels[:, 0] > 0)
    assert (labels[:, 1][things] == 2).all()  # each thing is vertical: the maps moved together
