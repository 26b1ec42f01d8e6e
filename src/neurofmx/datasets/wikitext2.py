"""WikiText-2: Wikipedia's good articles in words, the usual yardstick of small language models."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.characters import read_characters
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source
from neurofmx.recordings.task import Task

SHA256 = {
    "train.txt": "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    "valid.txt": "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    "test.txt": "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
}


@final
class Wikitext2(Dataset):
    """Two million words of 720 articles, already split into words at blanks; rare words are written `<unk>`.

    A recording is a part of the published division, `train`, `valid` or `test`, each of other articles. Signal `text`
    holds its characters as code points, one a second by convention.

    Source: Merity et al., Pointer sentinel mixture models, ICLR (2017), section 4.
    """

    name: ClassVar[str] = "wikitext2"
    modalities: ClassVar[tuple[Modality, ...]] = ("text",)
    species: ClassVar[str] = "none (English Wikipedia)"
    licence: ClassVar[str] = "CC BY-SA 3.0 (Wikipedia); none stated in the repository"
    citation: ClassVar[str] = "Merity et al. 2017, ICLR, arXiv:1609.07843"
    homepage: ClassVar[str] = "https://huggingface.co/datasets/Salesforce/wikitext"
    source: ClassVar[str] = "github.com/pytorch/examples at 77f55b9, word_language_model/data/wikitext-2"

    @property
    def task(self) -> Task:
        """After every token, the next one."""
        return Task("next_token", "text", ())

    @property
    def split(self) -> Split:
        """The published division. Some two thousand tokens, more than half of an article, make a block of their own."""
        return Split(
            "published-v1", kind="given", folds=1, validation="groups", test=("test",), held=("valid",), block=2000.0
        )

    @property
    def expected(self) -> Expected:
        """Three parts."""
        return Expected("text", recordings=3, channels=1, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """A text file a part."""
        return dict(SHA256)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Fetch the parts from the repository."""
        fetch_repository_files(
            "pytorch/examples",
            "77f55b912142e11fcfdf5b530231fb9c52f181e8",
            paths={name: f"word_language_model/data/wikitext-2/{name}" for name in names},
            checksums=SHA256,
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a part."""
        return [_part(folder / name, sources[name]) for name in self.checksums()]


def _part(path: Path, source: Source) -> Recording:
    """Read one file."""
    return Recording("wikipedia", path.stem, {"text": read_characters(path)}, sources=(source,))
