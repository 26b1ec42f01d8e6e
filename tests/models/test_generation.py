"""Drawn text: what the carried state says is what a whole pass says, and the draws follow the probabilities."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tests.models.test_language_models import NETWORKS, network
from tests.tokenizers.test_text_windows import windows

from neurofmx.models.generation import generate
from neurofmx.tokenizers.tokens import Sample
from synthetic import synthetic_windows


@pytest.mark.parametrize("places", [None, 16, 12])  # all that is read has one, or the last tokens have none
@pytest.mark.parametrize(("family", "options"), NETWORKS)
def test_the_likeliest_text_is_that_of_whole_passes(family: str, options: dict, places: int | None) -> None:
    model, text, begin = network(family, options, places=places).eval(), [3, 1, 4], 0
    drawn = generate(model, text, tokens=12, temperature=0)
    for _ in range(12):
        if places is not None and len(text) - begin > places:
            begin = len(text) - places // 2
        with torch.no_grad():
            states, _ = model(Sample(torch.tensor(text[begin:])[None, :, None]))
        text.append(int(model.head.logits(states)[0, -1].argmax()))
    assert drawn == text[3:]


def test_of_a_prompt_longer_than_the_places_the_end_is_read() -> None:
    model, prompt, read = network("lstm", {}, places=13).eval(), list(range(40)), []
    model.register_forward_pre_hook(lambda _, given: read.append(given[0].x.flatten().tolist()))
    drawn = generate(model, prompt, tokens=4)
    assert read == [prompt[-6:], *([token] for token in drawn[:-1])]
    assert drawn == generate(model, prompt[-6:], tokens=4)
    alone = network("lstm", {}, made=windows(stop=1.0, tokenizer_options={"max_position_embeddings": 1})).eval()
    assert generate(alone, [1, 2, 3], tokens=4) == generate(alone, [3], tokens=4)


def test_draws_follow_the_tempered_probabilities_and_the_seed() -> None:
    model = network("lstm", {}).eval()
    with torch.no_grad():
        model.head.answer.weight *= 3
        states, _ = model(Sample(torch.tensor([7, 8])[None, :, None]))
        logits = model.head.logits(states)[0, -1].double()
    for temperature in (0.7, 1.5):
        drawn = [generate(model, [7, 8], tokens=1, temperature=temperature, seed=seed)[0] for seed in range(600)]
        p = (logits / temperature).softmax(0).numpy()
        order = np.argsort(p)  # the rare together, so that each cell expects enough
        cells = np.array_split(order, 6)
        counts = np.bincount(drawn, minlength=len(p))
        assert chisquare([counts[c].sum() for c in cells], [600 * p[c].sum() for c in cells]).pvalue > 1e-3
    same = [generate(model, [7], tokens=20, seed=seed) for seed in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


def test_what_cannot_be_gone_on_with_is_refused() -> None:
    model = network("lstm", {})
    for wrong in ({"prompt": []}, {"tokens": -1}, {"temperature": -0.1}):
        with pytest.raises(ValueError, match="give a prompt of 1 token or more, and numbers not below 0"):
            generate(model, **{"prompt": [1], "tokens": 3} | wrong)
    with pytest.raises(TypeError, match="needs one trained on a text"):
        generate(network("lstm", {}, made=synthetic_windows()), [1], tokens=3)
