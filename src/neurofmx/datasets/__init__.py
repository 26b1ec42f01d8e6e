"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.ajile12 import Ajile12
from neurofmx.datasets.allen_2p import Allen2p
from neurofmx.datasets.allen_neuropixels_lfp import AllenNeuropixelsLfp
from neurofmx.datasets.amvoc_usv import AmvocUsv
from neurofmx.datasets.associative_recall import AssociativeRecall
from neurofmx.datasets.bids import Bids
from neurofmx.datasets.bycycle_lfp import BycycleLfp
from neurofmx.datasets.cao2021 import Cao2021
from neurofmx.datasets.capgmyo import Capgmyo
from neurofmx.datasets.cifar10_subset import Cifar10Subset
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.dlc_openfield import DlcOpenfield
from neurofmx.datasets.dlc_reach import DlcReach
from neurofmx.datasets.dyer2017 import Dyer2017
from neurofmx.datasets.edf import Edf
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.film import Film
from neurofmx.datasets.fsdd import Fsdd
from neurofmx.datasets.gripforce_ieeg import GripforceIeeg
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.ibl import Ibl
from neurofmx.datasets.induction import Induction
from neurofmx.datasets.miller_ecog import MillerEcog
from neurofmx.datasets.mne_misc_ieeg import MneMiscIeeg
from neurofmx.datasets.mnist_5k import Mnist5k
from neurofmx.datasets.mujoco import Mujoco
from neurofmx.datasets.mujoco_cloning import MujocoCloning
from neurofmx.datasets.myo_armband import MyoArmband
from neurofmx.datasets.nilearn_haxby import NilearnHaxby
from neurofmx.datasets.ninapro import Ninapro
from neurofmx.datasets.npz import Npz
from neurofmx.datasets.nwb import Nwb
from neurofmx.datasets.openneuro_fmri import OpenneuroFmri
from neurofmx.datasets.openneuro_ieeg import OpenneuroIeeg
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.sarcos import Sarcos
from neurofmx.datasets.scitos import Scitos
from neurofmx.datasets.seizure_ieeg import SeizureIeeg
from neurofmx.datasets.shared.base import Dataset, Expected, Split
from neurofmx.datasets.sheintuch2022 import Sheintuch2022
from neurofmx.datasets.simulated import Simulated
from neurofmx.datasets.steinmetz2019 import Steinmetz2019
from neurofmx.datasets.tiny_shakespeare import TinyShakespeare
from neurofmx.datasets.tu2020 import Tu2020
from neurofmx.datasets.vocalpy import Vocalpy
from neurofmx.datasets.wikitext2 import Wikitext2

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    Ajile12,
    Allen2p,
    AllenNeuropixelsLfp,
    AmvocUsv,
    AssociativeRecall,
    Bids,
    BycycleLfp,
    Cao2021,
    Capgmyo,
    Cifar10Subset,
    Digits,
    DlcOpenfield,
    DlcReach,
    Dyer2017,
    Edf,
    Eegbci,
    Film,
    Fsdd,
    GripforceIeeg,
    Haxby2001,
    Ibl,
    Induction,
    MillerEcog,
    MneMiscIeeg,
    Mnist5k,
    Mujoco,
    MujocoCloning,
    MyoArmband,
    NilearnHaxby,
    Ninapro,
    Npz,
    Nwb,
    OpenneuroFmri,
    OpenneuroIeeg,
    PeyracheA2929,
    Sarcos,
    Scitos,
    SeizureIeeg,
    Sheintuch2022,
    Simulated,
    Steinmetz2019,
    TinyShakespeare,
    Tu2020,
    Vocalpy,
    Wikitext2,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
