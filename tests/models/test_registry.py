"""Registries grow without a change to anything else, and are saved with their names."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from neurofmx.models.foundation.registry import EmbeddingRegistry


def test_a_new_name_leaves_the_others_bit_for_bit() -> None:
    torch.manual_seed(0)
    registry = EmbeddingRegistry(5)
    registry.add("a", rows=7)
    nn.init.normal_(registry.vectors, mean=3.0, std=0.25)
    before = registry.vectors.detach().clone()
    assert registry.add("b", rows=400) == range(7, 407)
    assert torch.equal(registry.vectors[:7], before)
    new = registry.vectors[7:].detach()
    torch.testing.assert_close(new.mean(0), before.mean(0), rtol=0, atol=4 * 0.4 / 20)  # drawn as those that there are
    torch.testing.assert_close(new.std(0), before.std(0, correction=0), rtol=0.2, atol=0)
    assert registry.names == ("a", "b")
    assert registry.rows("b")[0] == 7


def test_a_negative_index_is_nobody() -> None:
    registry = EmbeddingRegistry(3)
    assert (registry(torch.tensor([0, 4])) == 0).all()  # nobody is there yet
    registry.add("a", rows=2)
    found = registry(torch.tensor([[1, -1]]))
    assert torch.equal(found[0, 0], registry.vectors[1])
    assert (found[0, 1] == 0).all()
    found.sum().backward()
    assert torch.equal(registry.vectors.grad, torch.tensor([[0.0] * 3, [1.0] * 3]))


def test_safetensors_hold_vectors_and_names(tmp_path: Path) -> None:
    registry = EmbeddingRegistry(3)
    registry.add("Mäuse/1")
    registry.add("units", rows=4)
    save_file(registry.state_dict(), tmp_path / "r.safetensors")
    other = EmbeddingRegistry(3)
    other.add("somebody")
    other.load_state_dict(load_file(tmp_path / "r.safetensors"))
    assert other.names == ("Mäuse/1", "units")
    assert other.rows("units") == range(1, 5)
    assert torch.equal(other.vectors, registry.vectors)
    with pytest.raises(RuntimeError, match="size mismatch"):
        EmbeddingRegistry(4).load_state_dict(load_file(tmp_path / "r.safetensors"))


def test_wrong_names_are_refused() -> None:
    registry = EmbeddingRegistry(3)
    registry.add("a")
    with pytest.raises(ValueError, match="index 1 has no vector, there are 1; add its name first"):
        registry(torch.tensor([-1, 1]))
    with pytest.raises(ValueError, match="name='a' has vectors already"):
        registry.add("a")
    with pytest.raises(ValueError, match="rows=0"):
        registry.add("b", rows=0)
    with pytest.raises(ValueError, match="name='c' has no vectors here; add it first; known: a"):
        registry.rows("c")
