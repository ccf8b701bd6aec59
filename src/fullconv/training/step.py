"""One step of training: a batch, in one pass or several, to a loss and a change of the weights."""

import math

import torch
from torch import Tensor, nn

from fullconv.devices import autocast, precision_for
from fullconv.labels import IGNORE_INDEX, head_sizes
from fullconv.losses import cross_entropy, dice, focal, lovasz, ohem
from fullconv.models.fusion import split_heads
from fullconv.models.patchwise import Patchwise, sample_patches
from fullconv.ops.depthwise import StridedDepthwise
from fullconv.training.config import TrainConfig
from fullconv.training.optimizer import set_learning_rate
from fullconv.training.run import Run
from fullconv.training.world import unsynchronised


def training_step(run: Run, step: int, pictures: Tensor, labels: Tensor, lr: float) -> float:
    """One step over this process's part of a batch.

    The batch may be taken in several passes and by several processes: each loss is a mean over the pixels of all of them.

    Args:
        step: how many were before it.
        pictures: (N, C, h, w) uint8.
        labels: (N, h, w) uint8, or with T heads (N, T, h, w).
        lr: the learning rate.

    Returns:
        The loss of the whole batch. Where it is not finite the network stays as it was.
    """
    config = run.config
    # Dropout and stochastic depth draw from the global generator: of step and process, so that resuming repeats it.
    torch.manual_seed(config.seed * 1_000_003 + step + (run.world.rank << 40))
    run.trained.train()
    if config.freeze == "backbone":
        run.model.get_submodule("backbone").eval()
    set_learning_rate(run.optimizer, lr)
    # What normalisation counts is spoilt by a forward pass that comes to nan.
    buffers = {name: buffer.clone() for name, buffer in run.trained.named_buffers()}
    labels = labels.to(run.device, non_blocking=True)
    run.optimizer.zero_grad(set_to_none=True)
    passes = num_passes(run)
    parts = list(zip(pictures.tensor_split(passes), labels.tensor_split(passes), strict=True))
    norms = [pixel_weights(run, some_labels) for _, some_labels in parts]
    whole = run.world.sum(torch.stack(norms).sum(0)).clamp(min=torch.finfo(torch.float32).tiny)
    total = torch.zeros((), device=run.device)
    for index, (some_pictures, some_labels) in enumerate(parts):
        with unsynchronised(run.shared, index + 1 < len(parts)), run.world.as_one():
            seen = run.preprocessing(some_pictures, run.device)
            with (
                autocast(run.device, precision_for(seen.shape[-1], run.device, run.precision)),
                StridedDepthwise(),
            ):
                logits, truth = logits_and_labels(run, seen, some_labels)
            share = norms[index] / whole
            loss = heads_loss(run, logits[0], truth, share)
            for auxiliary in logits[1:]:
                loss = loss + config.auxiliary * heads_loss(run, auxiliary, truth, share)
            total += loss.detach()
            # Gradients are averaged over the processes; the loss is a sum over them.
            (loss * run.world.size).backward()
    value = run.world.sum(total).item()
    if not math.isfinite(value):
        for name, buffer in run.trained.named_buffers():
            buffer.copy_(buffers[name])
        return value
    if config.clip is not None:
        nn.utils.clip_grad_norm_(run.trained.parameters(), config.clip)
    run.optimizer.step()
    return value


def num_passes(run: Run) -> int:
    """In how many passes each process takes its part of a batch: in as many as the others, though it may have a picture more."""
    fewest = max(1, min(run.config.batch_size, len(run.train_samples)) // run.world.size)
    return math.ceil(fewest / (run.config.micro_batch or fewest))


def logits_and_labels(run: Run, pictures: Tensor, labels: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """The network's answer to a batch, behind it an auxiliary head's, and what they are compared with: every pixel, or the
    patches drawn from it."""
    if run.config.patches is None:
        logits = run.shared(pictures)  # (N, K, h, w), or with an auxiliary head two of them
        return logits if isinstance(logits, tuple) else (logits,), labels
    assert isinstance(run.model, Patchwise)
    generator = torch.Generator().manual_seed(torch.initial_seed())
    patches, classes = sample_patches(pictures, labels, run.config.patches, run.model.window, generator)
    return (run.model.classify(patches)[:, :, None, None],), classes[:, None, None]  # (P, K, 1, 1), (P, 1, 1)


def pixel_weights(run: Run, labels: Tensor) -> Tensor:
    """(T,) by what a head's mean divides: its valid pixels; with class weights, the sum of theirs."""
    if run.config.loss_reduction == "sum" or run.config.patches is not None:
        return torch.ones(len(run.dataset.heads) + 1, device=labels.device)
    label_maps = label_maps_of(labels)
    norms = [(label_map != IGNORE_INDEX).sum().float() for label_map in label_maps]
    if run.class_weights is not None:
        counts = torch.bincount(label_maps[0].flatten().long(), minlength=IGNORE_INDEX + 1)
        norms[0] = (counts[: len(run.class_weights)] * run.class_weights).sum()
    return torch.stack(norms)


def label_maps_of(labels: Tensor) -> list[Tensor]:
    """(N, h, w) of each head."""
    return list(labels.unbind(1)) if labels.dim() == 4 else [labels]


def heads_loss(run: Run, logits: Tensor, labels: Tensor, share: Tensor) -> Tensor:
    """The sum of the heads' losses, each times its (T,) share of the batch; class weights are the first head's."""
    parts = split_heads(logits, head_sizes(run.dataset.labels, run.dataset.heads))
    losses = [
        loss_of(run.config, part, label_map, run.class_weights if index == 0 else None)
        for index, (part, label_map) in enumerate(zip(parts, label_maps_of(labels), strict=True))
    ]
    return (torch.stack(losses) * share).sum()


def loss_of(config: TrainConfig, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
    """(N, K, h, w) logits and (N, h, w) labels to the loss that the configuration names."""
    if config.loss == "focal":
        loss = focal(logits, labels, weight=weight)
    elif config.loss == "ohem":
        loss = ohem(logits, labels, weight=weight)
    else:
        loss = cross_entropy(
            logits,
            labels,
            weight=weight,
            label_smoothing=config.label_smoothing,
            reduction=config.loss_reduction,
        )
    if config.region_loss == "dice":
        loss = loss + config.region_loss_factor * dice(logits, labels)
    elif config.region_loss == "lovasz":
        loss = loss + config.region_loss_factor * lovasz(logits, labels)
    return loss
