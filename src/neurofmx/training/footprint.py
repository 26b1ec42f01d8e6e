"""Memory of a training step, counted rather than measured, so that it is the same on every machine and in every run.

The resident memory of a process with a small network is that of Python, torch and compiled code: networks that differ
twofold in what they keep look alike in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.tokens import Sample

_COPIES = 4  # of every weight: itself, its gradient, and AdamW's two moments


def step_memory(model: Decoder, sample: Sample, y: Tensor) -> float:
    """Memory that one step of training holds when its backward pass begins.

    Weights, gradients and the two moments of AdamW, and all that the forward pass keeps for the backward one; each
    piece of memory counts once. Buffers that come and go inside a kernel are not in it.

    Args:
        model: The network; its mode and the state of the random generators stay as they were.
        sample: A batch of windows, on the model's device.
        y: Their answers.

    Returns:
        MiB.
    """
    weights = {weight.untyped_storage().data_ptr(): weight for weight in model.parameters()}
    held: dict[int, tuple[int, Tensor]] = {}  # the tensors stay alive while they are counted: no address comes twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    sample, y = sample[torch.arange(len(sample), device=y.device)], y.clone()  # no piece of something larger
    training = model.training
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()
        loss = model.head.loss(model(sample)[0].float(), y)
        size = sum(size for size, _ in held.values())
        del loss
    model.train(training)
    return (size + _COPIES * sum(weight.untyped_storage().nbytes() for weight in weights.values())) / 2**20
