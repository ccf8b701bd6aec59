"""Parameters, gradients and optimiser state in shards, one on each process: FSDP2, for what does not fit on one GPU."""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from fullconv.training.optimizer import layer_of
from fullconv.training.world import World


def shard(model: nn.Module, world: World) -> nn.Module:
    """Splits each parameter along its first axis over the processes, in place; all of them take part.

    Each block of the backbone is put together when it computes and let go of behind it; what is in none of them stays together
    from the forward to the end of the backward pass. Statistics of normalisation are whole everywhere. Weights lose their
    channels_last order, which FSDP does not split; convolutions take the order of the pictures.

    Args:
        model: on the world's device; the leader's weights are the ones that count.

    Returns:
        The same network. An optimiser has to be built after this.

    Source: PyTorch's `torch.distributed.fsdp.fully_shard`; Zhao et al., "PyTorch FSDP", VLDB 2023.
    """
    model.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    for tensor in model.state_dict().values():
        dist.broadcast(tensor, 0)
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in blocks_of(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The blocks and lone convolutions of a backbone, inner ones first. Lists of blocks do not compute themselves."""
    names = dict.fromkeys(layer_of(name) for name, _ in model.named_parameters())
    inner_first = sorted(filter(None, names), key=lambda name: name.count("."), reverse=True)
    blocks = [model.get_submodule(name) for name in inner_first]
    return [
        block
        for block in blocks
        if type(block).forward is not nn.Module.forward and any(p.dim() > 1 for p in block.parameters())
    ]


def gathered(model: nn.Module, whole: nn.Module) -> nn.Module:
    """`whole`, which was built like the sharded `model`, with its weights and statistics; all processes take part."""
    new = model.state_dict()
    with torch.no_grad():
        for name, tensor in whole.state_dict().items():
            found = new[name]
            tensor.copy_(found.full_tensor() if isinstance(found, DTensor) else found)
    return whole
