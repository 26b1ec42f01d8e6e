"""Run a network once before its training is timed: what is compiled at first use is no part of what a step takes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.tokens import Sample


def warm_up(model: Decoder, sample: Sample, y: Tensor) -> None:
    """Pass a batch through a copy of a network as training does, forward and backward, and as validation does.

    Args:
        model: The network; its weights and the state of the random generators stay as they are.
        sample: A batch of windows, on the device on which the network will be trained.
        y: Their answers, there too.
    """
    twin = copy.deepcopy(model).to(y.device)
    with torch.random.fork_rng():
        twin.train()
        twin.head.loss(twin(sample)[0].float(), y).backward()
        twin.eval()
        with torch.no_grad():
            twin(sample)
