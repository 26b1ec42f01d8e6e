"""Power of a signal in bands of frequency, stretch by stretch along time.

    P[n, b] = sum over f in band b of  c_f |sum_k h[k] x[k] exp(-2 pi i f k)|^2 / (K sum of h^2 over recorded samples)

with `h` a Hann window over the `K` samples of stretch n, and `c_f` 2 but for the frequencies that have no negative
twin. Summed over all frequencies that is the mean square of the samples, as the window sees them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BandPower(nn.Module):
    """Log power of bands, and of all of them together, around every token.

    Args:
        rate: Samples a second, Hz.
        patch: Samples from one token to the next.
        span: Samples that a token's powers are taken of, centred on its patch.
        floor: Power, in units of the variance, below which silence looks alike.
        bands: Bands in Hz, from below up to but without the end; what holds no frequency of such a span is left out.

    Source:
        Welch 1967, "The use of fast Fourier transform for the estimation of power spectra", with one segment.
    """

    window: Tensor
    member: Tensor
    twins: Tensor

    def __init__(
        self, *, rate: float, patch: int, span: int, bands: tuple[tuple[float, float], ...], floor: float = 1e-4
    ) -> None:
        super().__init__()
        self.patch, self.span, self.floor = patch, span, floor
        frequency = torch.fft.rfftfreq(span, 1 / rate)
        inside = [((frequency >= a) & (frequency < b)).float() for a, b in bands]
        member = torch.stack([band for band in inside if band.any()] or [torch.zeros(0)]).T.reshape(len(frequency), -1)
        twins = torch.full_like(frequency, 2.0)
        twins[0] = 1.0
        if span % 2 == 0:
            twins[-1] = 1.0
        self.register_buffer("window", torch.hann_window(span), persistent=False)
        self.register_buffer("member", member, persistent=False)
        self.register_buffer("twins", twins, persistent=False)

    @property
    def features(self) -> int:
        """Powers of a token: the mean square of its samples, then one a band."""
        return 1 + self.member.shape[1]

    def power(self, x: Tensor, recorded: Tensor | None = None) -> Tensor:
        """Mean square of all samples, which no window weighs, and of each band.

        Args:
            x: Samples (B, T, S), 0 where nothing was recorded; T is a multiple of the patch.
            recorded: Which samples were recorded (B, T); None for all.

        Returns:
            Power (B, T / patch, S, features), in the squared unit of the samples.
        """
        seen = torch.ones(x.shape[:2], device=x.device) if recorded is None else recorded.to(x.dtype)
        stretches, there, least = self._stretches(x), self._stretches(seen[..., None]), torch.finfo(x.dtype).eps
        whole = stretches.square().sum(-1, keepdim=True) / there.sum(-1, keepdim=True).clamp_min(1)
        spectrum = torch.fft.rfft(stretches * self.window).abs().square() * self.twins
        weight = (there * self.window.square()).sum(-1, keepdim=True).clamp_min(least)
        return torch.cat([whole, spectrum @ self.member / (self.span * weight)], -1)

    def forward(self, x: Tensor, recorded: Tensor | None = None) -> Tensor:
        """Log power (B, T / patch, S, features); arguments as of `power`."""
        return torch.log(self.power(x, recorded) + self.floor)

    def _stretches(self, x: Tensor) -> Tensor:
        """The span around each patch: (B, T, S) to (B, T / patch, S, span), with 0 beyond the ends."""
        early = (self.span - self.patch) // 2
        late = self.span - self.patch - early
        return nn.functional.pad(x, (0, 0, early, late)).unfold(1, self.span, self.patch)
