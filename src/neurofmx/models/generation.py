"""Text that a language model writes: tokens drawn one after the other, each read before the next is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.token_head import TokenHead
from neurofmx.tokenizers.tokens import Sample


@torch.inference_mode()
def generate(
    decoder: Decoder, prompt: Sequence[int], *, tokens: int, temperature: float = 1.0, seed: int = 0
) -> list[int]:
    """Go on with a text.

    The state is carried, so a token costs the same wherever it stands (with a transformer, whose state grows, more). A
    network with learnt places has none for tokens behind the last one: where they are used up, it begins anew with the
    end of the text, of half as many tokens as there are places.

    Args:
        decoder: A network that answers with the next token.
        prompt: Numbers of the tokens to begin with, one or more.
        tokens: How many to draw, 0 or more.
        temperature: What the logits are divided by: below 1 the likely gets likelier, 0 always takes the likeliest.
        seed: Of the draws; the same seed gives the same text on the same machine.

    Returns:
        Numbers of the drawn tokens, without the prompt.

    Raises:
        TypeError: If the network was built for another task.
        ValueError: If the prompt is empty, or `tokens` or `temperature` is below 0.
    """
    if not isinstance(decoder.head, TokenHead):
        raise TypeError("this network does not answer with tokens; generate needs one trained on a text")
    if not len(prompt) or tokens < 0 or temperature < 0:
        raise ValueError(
            f"prompt has {len(prompt)} tokens, tokens={tokens}, temperature={temperature:g}: give a prompt of 1 token "
            "or more, and numbers not below 0"
        )
    decoder.eval()
    device, generator = next(decoder.parameters()).device, torch.Generator().manual_seed(seed)
    text, begin, known, state = list(prompt), 0, 0, None  # the state has read what stands from begin to known
    for _ in range(tokens):
        if (places := decoder.tokenizer.longest) is not None and len(text) - begin > places:
            begin = known = len(text) - max(1, places // 2)
            state = None
        read = torch.tensor(text[known:], dtype=torch.int64, device=device)
        outputs, state = decoder(Sample(read[None, :, None]), state)
        known = len(text)
        text.append(_drawn(decoder.head.logits(outputs[:, -1]).float().cpu()[0], temperature, generator))
    return text[len(prompt) :]


def _drawn(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    """One token: of `softmax(logits / temperature)`, or the likeliest at 0."""
    if temperature == 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))
