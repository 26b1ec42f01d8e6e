"""Atlases: which parcel every place of a standard brain belongs to."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import requests

from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.access.mirror import take_from_mirror
from neurofmx.datasets.shared.checksum import matches, require

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

_log = logging.getLogger(__name__)
SCHAEFER = "schaefer400"  # also its folder in a mirror
IMAGE = "Schaefer2018_400Parcels_7Networks_order_FSLMNI152_2mm.nii.gz"
TABLE = "Schaefer2018_400Parcels_7Networks_order.txt"
CHECKSUMS = {
    IMAGE: "359da271b5d569ae76112693ef4f303cb744c5e060306ca45eca40bddacc85ac",
    TABLE: "34cf6995e59ecd2b127c70587b46dab5d44cf103c65d4c57ebf9d2668c028247",
}


class Atlas(NamedTuple):
    """A label image in a standard space.

    Args:
        image: Parcel of every voxel, 0 for none.
        names: Name by parcel, in ascending order of the parcels.
    """

    image: Nifti1Image
    names: dict[int, str]


def load_atlas(name: str) -> Atlas:
    """Load an atlas.

    Args:
        name: `schaefer400` (400 parcels of the cortex in 7 networks, MNI space, 2 mm), or the path of a NIfTI label
            image, whose parcels are named by their numbers.

    Returns:
        The atlas, its image in memory.

    Raises:
        ConnectionError: If the named atlas can be had neither from `NEUROFMX_MIRROR` nor from its source.
        ValueError: If the image is damaged, or holds no whole numbers.

    Source: Schaefer et al., Local-global parcellation of the human cerebral cortex, Cerebral Cortex 28 (2018).
    """
    if name == SCHAEFER:
        folder = fetch_schaefer()
        image, names = _image(folder / IMAGE), _names(folder / TABLE)
    else:
        image, names = _image(Path(name)), {}
    labels = np.unique(np.asanyarray(image.dataobj))
    if not np.array_equal(labels, np.rint(labels)):
        raise ValueError(f"preprocess.atlas: {name} must hold whole numbers, one a parcel; is it a label image?")
    return Atlas(image, {int(label): names.get(int(label), str(int(label))) for label in labels if label > 0})


def fetch_schaefer(folder: Path | None = None) -> Path:
    """Put the atlas of 400 parcels into a folder, by way of nilearn unless a mirror holds it.

    Args:
        folder: The folder, default nilearn's own (`NILEARN_DATA`, else `~/nilearn_data`).

    Returns:
        The folder that holds both files, whose SHA-256 sums are checked also where they were there already.

    Raises:
        ConnectionError: If neither mirror nor source can be reached.
        ValueError: If a file has another sum.
    """
    from nilearn.datasets import fetch_atlas_schaefer_2018, get_data_dirs  # imported here: a second only an atlas needs

    store = folder or Path(get_data_dirs()[0])
    target = store / "schaefer_2018"
    missing = {name: sha256 for name, sha256 in CHECKSUMS.items() if not matches(target / name, sha256)}
    if missing and (mirror := os.environ.get("NEUROFMX_MIRROR")):
        missing = take_from_mirror(mirror, SCHAEFER, missing, folder=target, cache=store)
    for name in missing:
        (target / name).unlink(missing_ok=True)  # nilearn trusts what is there
    if missing:
        try:
            fetch_atlas_schaefer_2018(400, yeo_networks=7, resolution_mm=2, data_dir=store, verbose=0)
        except (requests.RequestException, OSError) as error:
            raise ConnectionError(f"nilearn cannot download the atlas {SCHAEFER}: {error}; {WAY_OUT}") from error
        except (LookupError, ValueError, TypeError) as error:
            _log.debug("nilearn cannot read the atlas (%s): the sums below will say why", error)
    for name in missing:
        require(target / name, CHECKSUMS[name], origin=f"{SCHAEFER}: {name}")
    return target


def _image(path: Path) -> Nifti1Image:
    """A label image."""
    from nibabel import filebasedimages, nifti1

    try:
        image = nifti1.load(path)
        return nifti1.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
    except (filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"preprocess.atlas: {path} is no sound NIfTI image ({error})") from error


def _names(path: Path) -> dict[int, str]:
    """Names of parcels from a table: number, name, colour."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]
    return {int(row[0]): row[1] for row in rows}
