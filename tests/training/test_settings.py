"""The settings of a trained model beside its weights."""

from __future__ import annotations

import json

import pytest

from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.training.checkpoints.settings import FILE, Settings, load_settings, save_settings


@pytest.mark.parametrize("family", sorted(MODELS))
def test_what_was_trained_is_read_back(family, tmp_path):
    settings = Settings(family, MODELS[family].config(), HeadConfig(pool="mean", dropout=0.25))
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path) == settings


def test_what_is_fitted_has_no_head(tmp_path):
    save_settings(tmp_path, Settings("pca", MODELS["pca"].config()))
    assert load_settings(tmp_path).head is None


def test_none_there_says_to_train(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"family": "lstn"}, "lstm"),
        ({"config": {"layers": 2}}, "layers"),
        ({"head": {"pool": "first"}}, "pool"),
        ({"head": 3}, "not the settings"),
    ],
)
def test_damage_is_named(change, reason, tmp_path):
    save_settings(tmp_path, Settings("lstm", MODELS["lstm"].config(), HeadConfig()))
    said = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(said | change))
    with pytest.raises(ValueError, match=reason):
        load_settings(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"family": "lstm"}'])
def test_half_a_file_is_refused(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match="not the settings of a model"):
        load_settings(tmp_path)
