"""One linear model a recording: each is the one that the recording alone would get."""

from dataclasses import replace

import numpy as np
import pytest

from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import PerRecording, fit_decoder, load_decoder
from neurofmx.models.pca import PcaConfig, PcaDecoder
from synthetic import ragged_windows, synthetic_windows

MODELS = [
    (LinearDecoder, LinearConfig()),
    (LinearDecoder, LinearConfig(features="riemann")),
    (PcaDecoder, PcaConfig(components=(2, 8))),
]


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_each_recording_gets_the_model_it_would_get_alone(kind, config) -> None:
    alone = [synthetic_windows(channels=channels, time=12, seed=channels) for channels in (3, 5)]
    together = ragged_windows(alone)
    for fold in range(3):
        fitted = fit_decoder(kind, together, fold, config)
        assert isinstance(fitted, PerRecording)
        outputs = fitted.answer(together, fold, np.arange(len(together.y)))
        expected = [kind.fit(windows, fold, config) for windows in alone]
        for number, (windows, one) in enumerate(zip(alone, expected, strict=True)):
            own = one.predict(windows.scaled(fold, np.arange(len(windows.y))))
            np.testing.assert_allclose(outputs[together.group == number], own, rtol=1e-6, atol=1e-6)
        assert fitted.parameters == sum(one.parameters for one in expected)


def test_one_readout_for_all_would_not_do() -> None:
    """The same pattern means the opposite in the second recording, so a shared readout finds none of it."""
    one = synthetic_windows()
    together = ragged_windows([one, replace(one, y=1 - one.y)])
    index = together.fold(0).test
    own = fit_decoder(LinearDecoder, together, 0, LinearConfig()).answer(together, 0, index)
    pooled = replace(together, montage="same", mean=together.mean.mean(1), std=together.std.mean(1))
    shared = fit_decoder(LinearDecoder, pooled, 0, LinearConfig()).answer(pooled, 0, index)
    assert headline(own, together.y[index], together.task) > 0.9
    assert headline(shared, together.y[index], together.task) < 0.7


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_arrays_hold_all_of_it(kind, config) -> None:
    together = ragged_windows([synthetic_windows(channels=channels, time=12) for channels in (3, 5)])
    fitted = fit_decoder(kind, together, 1, config)
    back = load_decoder(kind, fitted.arrays())
    index = together.fold(1).test
    np.testing.assert_array_equal(back.answer(together, 1, index), fitted.answer(together, 1, index))
    assert set(back.arrays()) == set(fitted.arrays())


def test_equal_recordings_share_one_model() -> None:
    windows = synthetic_windows()
    fitted = fit_decoder(LinearDecoder, windows, 0, LinearConfig())
    assert isinstance(fitted, LinearDecoder)
    back = load_decoder(LinearDecoder, fitted.arrays())
    index = windows.fold(0).test
    np.testing.assert_array_equal(back.answer(windows, 0, index), fitted.predict(windows.scaled(0, index)))


def test_a_damaged_file_is_refused() -> None:
    together = ragged_windows([synthetic_windows(channels=channels) for channels in (3, 5)])
    arrays = fit_decoder(LinearDecoder, together, 0, LinearConfig()).arrays()
    arrays.pop("recording-1.readout.bias")
    with pytest.raises(ValueError, match="do not fit"):
        load_decoder(LinearDecoder, arrays)
