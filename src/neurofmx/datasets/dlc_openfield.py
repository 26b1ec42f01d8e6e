"""Mice in an open field, seen from above: a film, and labelled pictures of another mouse (DeepLabCut's demo)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.deeplabcut import read_csv
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.film import frame_rate, frames
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

REPOSITORY = "DeepLabCut/DeepLabCut"
COMMIT = "2df0f46c8c8c56c8238b46b3d58384163bafb2f0"
PROJECT = "examples/openfield-Pranav-2018-10-30"
FILM = {"videos/m3v1mp4.mp4": "e2394b4221821cdb7206910a6efcec9db338cb497d1f880bd5a0ef2fd087ce59"}
LABELS = "labeled-data/m4s1/CollectedData_Pranav.csv"
LABELLED = {LABELS: "4772b40c61d368ac29f283483719e4ea3be5d38a52dabcc414aae0c8699fd9c7"}
PICTURES = {  # every third of the labelled pictures
    "labeled-data/m4s1/img0000.png": "67d0d49b54ae51bee8dd9e3ad82261d77673e4fe9b80262e1a38bd667e9f26a2",
    "labeled-data/m4s1/img0003.png": "363f6ae4863b071a88315e56f224d8e1517a8aa898af0a9866832b6db0f9a3c7",
    "labeled-data/m4s1/img0006.png": "a99b8ea404a0fc6d8e64fd5a99052618f9f3e722adc273ac136963921387aa52",
    "labeled-data/m4s1/img0009.png": "5ac4612d1517301a2b2e71018268eeee8def05c405eac67f17892a276528e21a",
    "labeled-data/m4s1/img0012.png": "5da93da2d0c13b745ba423a1810c8f85f4d72958ce96aea8af93e6273a455f1a",
    "labeled-data/m4s1/img0015.png": "f4b0c0922862b5c529c5b0e66aff49a4df3bc755ffb56bf15575cb3afdf56e87",
    "labeled-data/m4s1/img0018.png": "0e86627353184513ed3dc9908eade77e834be4d5ccb0a06d9da718e6b0d8ede9",
    "labeled-data/m4s1/img0021.png": "3779c48250b051040ee3cd2ac613302dabf9f9dedf6ed8aed900677119202992",
    "labeled-data/m4s1/img0024.png": "80bd6f51c80d4983d375ba839a8b0d67992ec74076db2cd2da96c79c9c779f35",
    "labeled-data/m4s1/img0027.png": "582e307ee941633bc8a6cb4f712def5b093290030b398c0eca87a57416a7212b",
    "labeled-data/m4s1/img0030.png": "bdf90c992cd31f5c4a7f2ffa1639258f606cee62171772849d1dcf74f579e6ab",
    "labeled-data/m4s1/img0033.png": "2f81cde4be440eab760bf407ff0b60b4965009843ee5bba42626c7e5afca219a",
    "labeled-data/m4s1/img0036.png": "3210eb59753be698515399333bbb15bac34b412e674cb32bbe32ead6db61aa42",
    "labeled-data/m4s1/img0039.png": "396cb7351697adb2eb61944a9aedb15955693b79f0a87a18f61b08aaac24b280",
    "labeled-data/m4s1/img0042.png": "4590593028c79d3877a9b175768d4c84112b379be07bae846c2d071c9bbb72ad",
    "labeled-data/m4s1/img0045.png": "befa041516a5ae4627b5e6dc850cf84459a557f047f3c61ccf62cfc92a7d4241",
    "labeled-data/m4s1/img0048.png": "a7051d1ad96d48cecb018b9a1813db98ecc76c8b62bd8730af3a6698e471b8f6",
    "labeled-data/m4s1/img0051.png": "5cca9020dbab79ff6f6a9305f73315d13c143970bb0c41526c66db3e18069d70",
    "labeled-data/m4s1/img0054.png": "ed6662145b8138aeb7bc77bfbd79e010ce3b03186ddaa03d5841215dedebb73f",
    "labeled-data/m4s1/img0057.png": "7066e7c43fb881ec2b6e0b972ef533a619814d994fe315bf4b160e6cbfd012c2",
    "labeled-data/m4s1/img0060.png": "52b9b643e7a52c2f72a0fd207dd48493ce4a56ab9a71d30a9d22d6d40d0c5260",
    "labeled-data/m4s1/img0063.png": "1d174037a767b9a738368792656ec56d9fd6e85a132852b8158d376ccb235bd0",
    "labeled-data/m4s1/img0066.png": "92052dc03c98d693fc39439eb1c23fc7e34ff25c4a71cbe75ae02eeb53710599",
    "labeled-data/m4s1/img0069.png": "1c82755d85c77a26f0d69e1afcc2c68aec5ce7fd5d4de4de04012b6c708cfa84",
    "labeled-data/m4s1/img0072.png": "e914df772e55bebf191c30e6fdd9291d2425340531d436c4d2385fe5152d6e62",
    "labeled-data/m4s1/img0075.png": "c951bcb82a412af13e44fbf63a8cf8c42ea1c2c1428f3ddc21c7d7e6e2c96ac7",
    "labeled-data/m4s1/img0078.png": "48612adf8cc723d4910413c90f228f7eb2420a2e149538a31885c39061d0d362",
    "labeled-data/m4s1/img0081.png": "940c30138b1d7a42a048788efa3698de640c23119a797004889384db405c7066",
    "labeled-data/m4s1/img0084.png": "b4e345b10e9316bedfd38a8ea7fd5c1f0725b53dc59f9e82e092a17170657eb6",
    "labeled-data/m4s1/img0087.png": "6feb8c170fb9066f8a635678de6c70e5dbf9c0dd9fccbb0e1c269f2e863e0e36",
    "labeled-data/m4s1/img0090.png": "ca43dd73bb1c033ae58122f1084f2ff60c552b11ba25e14b8451252cdbe7f811",
    "labeled-data/m4s1/img0093.png": "9cb467866a2a00531f071280589d445a764f2dc5a688546f957a033f5b36e443",
    "labeled-data/m4s1/img0096.png": "0b404e7c9ff4fd45d1d3247892f6dbc3e81f5fa1e45183a9405f044d6502cd18",
    "labeled-data/m4s1/img0099.png": "3eb385bf5d5824dfb0b81af5d43f6c3d4d2dc6ba54a0cdbded2ba58a4bd071be",
    "labeled-data/m4s1/img0102.png": "45e27b12da614b61958e74f6b2ed82c3c7d33d2a6238224238ab1e5da96af1c9",
    "labeled-data/m4s1/img0105.png": "74c1dac39b1805821aa66acd4f93f1bb9331f55992a896636a6e06d7a44d5c4b",
    "labeled-data/m4s1/img0108.png": "ebc58e6be8acbbd31057fcbecc29b3f2ea458fea39cdfcd424bfb2edfb5d142c",
    "labeled-data/m4s1/img0111.png": "fcca0c746505bdc832086e39b00c1f490af3f2f2d821bfbbb823c26b2db0e437",
    "labeled-data/m4s1/img0114.png": "96a3cae67dd9457cecba2b9c471f2d2d297f4e45e32916259bbdfd711d3014c8",
}
SIZE = (480, 640)  # rows and columns of film and pictures, pixels
RATE = 1e6 / 33333  # Hz, what the film states
AHEAD = 15  # frames from what is seen to what is asked, 0.5 s
AREA = 4  # pixels of the film that one pixel of the search for the mouse holds, on each side
DARKER = 50.0  # grey values by which the mouse is darker than the floor behind it


@final
class DlcOpenfield(Dataset):
    """A film of 78 s at 30 frames a second, or 39 pictures with four labelled keypoints.

    `film`: array `film` is the film's path, which the video modality decodes. Signal `pose` is the place of the mouse,
    `centroid-x` and `centroid-y` in pixels: the mean over the pixels that are much darker than the median of the film
    there. `ahead` is the same place 0.5 s later. No tracked keypoints of this film are published.

    `labelled`: signals `video (39, 480, 640)` in grey values and `pose (39, 6)`, snout and ears in pixels; `tailbase`
    is the fourth keypoint. The pictures come one a second, by convention; they were picked from a film of another mouse
    for being different from each other, and 77 of the 116 labelled ones are left out with their pictures.

    Args:
        part: `film` (default) or `labelled`.

    Source: Mathis et al., DeepLabCut: markerless pose estimation of user-defined body parts with deep learning, Nature
    Neuroscience 21 (2018), example project openfield.
    """

    name: ClassVar[str] = "dlc_openfield"
    modalities: ClassVar[tuple[Modality, ...]] = ("video", "pose")
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "LGPL-3.0 (the repository); none stated for the recordings themselves"
    citation: ClassVar[str] = "Mathis et al. 2018, Nature Neuroscience 21:1281-1289"
    homepage: ClassVar[str] = f"https://github.com/{REPOSITORY}"
    source: ClassVar[str] = f"repository {REPOSITORY} at {COMMIT}, {PROJECT}"

    part: Literal["film", "labelled"] = "film"

    @property
    def task(self) -> Task:
        """Where the mouse will be, or where its tail begins."""
        return Task("regression", "ahead" if self.part == "film" else "tailbase", ("x", "y"))

    @property
    def split(self) -> Split:
        """A fifth of the time is left out at a time; on either side what a window reads and asks for does not meet."""
        if self.part == "film":
            return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=1.0, block=5.0)
        return Split("pictures-5fold-v1", kind="blocks", folds=5, validation="tail", block=1.0)

    @property
    def expected(self) -> Expected:
        """One recording of either part."""
        if self.part == "film":
            return Expected("pose", recordings=1, channels=2, rate=RATE)
        return Expected("pose", recordings=1, channels=6, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """The film, or the pictures with their table."""
        return dict(FILM) if self.part == "film" else LABELLED | PICTURES

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the files from the repository."""
        paths = {name: f"{PROJECT}/{name}" for name in names}
        fetch_repository_files(REPOSITORY, COMMIT, paths=paths, checksums=self.checksums(), folder=folder, cache=cache)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The film, or the pictures."""
        read = _film if self.part == "film" else _labelled
        return [read(folder, tuple(sources.values()))]


def centroids(pictures: np.ndarray) -> np.ndarray:
    """Place of what is much darker than the median picture.

    Args:
        pictures: Grey values `(time, rows, columns)`.

    Returns:
        Column and row of its centre `(time, 2)`, pixels from the outer edge of the first one; NaN where there is
        nothing so dark.
    """
    background = np.median(pictures[::20], axis=0)
    rows, columns = (np.arange(n) + 0.5 for n in pictures.shape[1:])
    places = np.full((len(pictures), 2), np.nan)
    for index, picture in enumerate(pictures):  # one at a time: the difference of all would take eight times the memory
        mouse = background - picture > DARKER
        if mouse.any():
            places[index] = (mouse.sum(axis=0) @ columns / mouse.sum(), mouse.sum(axis=1) @ rows / mouse.sum())
    return places


def _film(folder: Path, sources: tuple[Source, ...]) -> Recording:
    """The film by its path, and where the mouse is and will be."""
    path = folder / next(iter(FILM))
    small = (SIZE[0] // AREA, SIZE[1] // AREA)
    places = AREA * centroids(np.stack([frame.picture for frame in frames(path, grey=True, size=small)]))
    rate = frame_rate(path)
    signals = {
        "pose": Signal(places[:-AHEAD], rate, "px", ("centroid-x", "centroid-y")),
        "ahead": Signal(places[AHEAD:], rate, "px", ("x", "y")),
    }
    return Recording("m3", "v1", signals, sources=sources, arrays={"film": np.array(str(path))})


def _labelled(folder: Path, sources: tuple[Source, ...]) -> Recording:
    """Pictures and keypoints."""
    from PIL import Image  # imported here: only these pictures need it

    table = read_csv(folder / LABELS)
    rows = [table.frames.index(name) for name in PICTURES]
    pictures = np.stack([np.asarray(Image.open(folder / name).convert("L")) for name in PICTURES])
    parts, axes = ("snout", "leftear", "rightear"), ("x", "y")
    places = table.of(parts, axes)[rows].reshape(len(rows), -1)
    signals = {
        "video": Signal(pictures, 1.0, "grey value", ()),
        "pose": Signal(places, 1.0, "px", tuple(f"{part}-{axis}" for part in parts for axis in axes)),
        "tailbase": Signal(table.of(("tailbase",), axes)[rows, 0], 1.0, "px", axes),
    }
    return Recording("m4", "s1", signals, sources=sources)
