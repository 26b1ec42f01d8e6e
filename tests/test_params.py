"""params.yaml: what is wrong is refused, naming key, value, what is allowed and the nearest name."""

import re
from pathlib import Path
from typing import Any

import pytest

from neurofmx.evaluation.robustness import Robustness
from neurofmx.models.table import MODELS
from neurofmx.params import ParamsError, check_params, check_suite, load_params
from neurofmx.sections import problems_of
from neurofmx.variants import variant_tree
from params_tree import dotted, params_tree

ROOT = Path(__file__).parents[1]
DIGITS = {"kind": "digits", "modality": "image"}
SAMPLE = {"anchor": "sample", "start": 0.0, "stop": 1.0, "scale": "global"}
EEG = {"eegbci": {"kind": "eegbci", "modality": "eeg"}}


def tree() -> dict[str, Any]:
    return params_tree()


def changed(key: str, value: Any) -> dict[str, Any]:
    """params.yaml with one value set, as `-S key=value` does."""
    return params_tree({key: value})


def test_the_committed_file_is_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert set(params.run.datasets) == {"haxby2001", "peyrache_a2929", "digits"}
    assert {params.named(name).family for name in ("model", *params.models)} == set(MODELS)
    assert list(tree())[-1] == "run"  # `-S` on a list drops the comment that follows it


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "model.integraton_mode",
            "parallel",
            r"model.integraton_mode=parallel: unknown key; did you mean 'integration_mode'\?",
        ),
        (
            "model.integration_mode",
            "serial",
            r"model.integration_mode=serial: .*allowed: sequential, parallel, bidirectional",
        ),
        ("model.integration_mode", "paralel", r"did you mean 'parallel'\?"),
        ("model.num_layers", -1, r"model.num_layers=-1: .*greater than or equal to 1"),
        ("model.num_gate_heads", 5, r"model: .*num_gate_heads.*5.*hidden_dim.*64"),
        ("model.family", "lstm", r"model.family=lstm: unknown key"),
        ("modle", {"hidden_dim": 3}, r"modle: unknown key; did you mean 'model'\?"),
        ("models.lstm.hiden_dim", 3, r"models.lstm.hiden_dim=3: unknown key; did you mean 'hidden_dim'\?"),
        (
            "models.transformer.num_attention_heads",
            3,
            r"models.transformer: num_attention_heads=3: must divide hidden_dim=64",
        ),
        ("models.gru", {}, r"unknown model 'gru'; known: hybrid, linear, lstm"),
        ("run.compare", ["gru"], r"unknown model in run.compare 'gru'; known: linear, lstm"),
        ("models.hybrid", {}, r"models.hybrid: it is the model under study"),
        (
            "model.input_dim",
            64,
            r"model.input_dim=64: a run derives it, as its tokenizer has hidden_dim channels there",
        ),
        ("model.output_dim", 3, r"model.output_dim=3: a run derives it, .*leave it null"),
        ("datasets.wikitext2.tokenize.tokenizer", "linear", r"wikitext2.tokenize.tokenizer=linear: reads measurements"),
        ("datasets.digits.tokenize.tokenizer", "text", r"digits.tokenize.tokenizer=text: reads a text"),
        (
            "datasets.wikitext2.tokenize.tokenizer_options",
            {"max_position_embeddings": 31},
            r"wikitext2.tokenize.*max_position_embeddings=31: must be at least the 32 tokens of a window",
        ),
        (
            "datasets.digits.tokenize.tokenizer_options",
            {"conv_chanels": [8]},
            r"digits.tokenize.tokenizer_options.conv_chanels=\[8\]: unknown key; did you mean 'conv_channels'\?.*"
            r"\(tokenizer image\)",
        ),
        (
            "datasets.digits.tokenize.tokenizer_options",
            {"conv_channels": [8, True, 8]},
            r"digits.tokenize.tokenizer_options.conv_channels.1=true: must be a number",
        ),
        (
            "datasets.haxby2001.tokenize.tokenizer_options",
            {"width": 8},
            r"haxby2001.tokenize.tokenizer_options.width=8: unknown key; allowed: none \(tokenizer linear\)",
        ),
        (
            "datasets.digits.tokenize.tokenizer",
            "imge",
            r"tokenize.tokenizer=imge: unknown tokenizer 'imge'; did you me",
        ),
        (
            "datasets.wikitext2.tokenize.stop",
            128.0,
            r"wikitext2.tokenize.stride=32: must be at least the 128 tokens of a window \(stop=128.*set it to 128",
        ),
        ("train.schedule", "linaer", r"train.schedule=linaer: did you mean 'linear'\?"),
        ("train.curriculum_start", 1.0, r"train.curriculum_start=1.0: .*less than 1"),
        ("train.learning_rate", 0, r"train.learning_rate=0: .*greater than 0"),
        ("train.learning_rate", "fast", r"train.learning_rate=fast: .*valid number"),
        ("train.devcie", "cpu", r"train.devcie=cpu: unknown key; did you mean 'device'\?"),
        ("train.device", "gpu", r"train.device=gpu: .*allowed: auto, cpu, cuda"),
        ("head.pool", "max", r"head.pool=max: .*allowed: last, mean, attention"),
        ("evaluate.precision", "int4", r"evaluate.precision=int4: did you mean 'int8'\? allowed: float32, bfloat16"),
        (
            "datasets.peyrache_a2929.tokenize.stop",
            -2.0,
            r"datasets.peyrache_a2929.tokenize: stop=-2.0 must lie after start",
        ),
        (
            "datasets.peyrache_a2929.tokenize.strid",
            2,
            r"peyrache_a2929.tokenize.strid=2: unknown key; did you mean 'stride'\?",
        ),
        (
            "datasets.haxby2001.preprocess.detrnd",
            3,
            r"datasets.haxby2001.preprocess.detrnd=3: unknown key; did you mean 'detrend'\?",
        ),
        ("datasets.digits.preproces", {}, r"datasets.digits.preproces: unknown key; did you mean 'preprocess'\?"),
        ("datasets.haxby", {}, r"datasets.haxby.options: Field required"),
        (
            "datasets.eegbci.options.subject",
            [1],
            r"eegbci.options.subject=\[1\]: unknown key; did you mean 'subjects'\?",
        ),
        ("evaluate.seeds", [], r"evaluate.seeds=\[\]: "),
        ("evaluate.seeds", [1, 1], r"evaluate.seeds=\[1, 1\]: must be different"),
        ("run.datasets.digits.modality", "fmri", r"digits: modality=fmri: kind digits has image"),
        ("run.datasets.digits.kind", "digit", r"unknown kind of dataset 'digit'; did you mean 'digits'\?"),
        ("run.datasets.digit", DIGITS, r"unknown dataset in run.datasets 'digit'; did you mean 'digits'\?"),
        ("run.compare", ["pca", "ltsm"], r"unknown model in run.compare 'ltsm'; did you mean 'lstm'\?"),
        ("run.compare", ["linear"], r"run.compare: 'linear' is always built"),
        ("run.compare", ["pca", "pca"], r"names a model twice"),
        (
            "models.linear.features",
            "csp",
            r"models.linear.features=csp: needs classes, peyrache",
        ),
        (
            "datasets.peyrache_a2929.preprocess",
            {"smoothing": "centred", "sigma_ms": 1000},
            r"reaches 4 s, over the gap .*to 250",
        ),
        (
            "datasets.peyrache_a2929.tokenize.patch",
            3,
            r"peyrache_a2929.tokenize.patch=3: must divide the 20 samples of a window",
        ),
        (
            "datasets.peyrache_a2929.preprocess.bin_ms",
            5000,
            r"peyrache_a2929.tokenize.patch=4: must divide the 0 samples",
        ),
        ("suites", {"s": {"datasets": EEG, "seeds": [1, 1]}}, r"suites.s.*seeds.*different"),
        (
            "datasets.haxby2001.preprocess.atlas",
            "no/atlas.nii",
            r"haxby2001.preprocess.atlas=no/atlas.nii: no such file",
        ),
        ("train.learning_rate", float("inf"), r"train.learning_rate=inf: .*finite"),
        ("datasets.digits", 3, r"datasets.digits=3: .*valid dictionary"),
        ("head", 3, r"head=3: "),
        ("train", [1], r"train=\[1\]: "),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check_params(changed(key, value))
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_dataset_is_read_by_its_kind_under_any_name() -> None:
    """The same source twice: with other options, or another modality of it."""
    sections = changed("datasets.my_digits", {"options": {}, "preprocess": {"invert": True}, "tokenize": SAMPLE})
    sections["run"]["datasets"]["my_digits"] = DIGITS
    prepared = check_params(sections).dataset("my_digits")
    assert prepared.dataset.name == "digits"
    assert prepared.preprocess.model_dump() == {"invert": True, "grey": False}


def test_a_suite_is_checked_like_a_run() -> None:
    suite = {"datasets": EEG, "compare": ["lstm"], "seeds": [1, 2]}
    assert check_params(changed("suites.small", suite)).suites["small"].seeds == (1, 2)
    with pytest.raises(ParamsError, match=r"unknown model in suites.small.compare 'ltsm'; did you mean 'lstm'\?"):
        check_params(changed("suites.small", suite | {"compare": ["ltsm"]}))
    wrong = changed("suites.small", suite)
    wrong["datasets"]["eegbci"]["preprocess"]["rate"] = 50
    with pytest.raises(ParamsError, match=r"datasets.eegbci.preprocess: high=30.0 must be below half of rate=50"):
        check_params(wrong)


def test_all_problems_of_a_section_are_named_at_once() -> None:
    sections = changed("model.integration_mode", "serial")
    sections["model"]["beta"] = 2
    with pytest.raises(ParamsError, match=r"(?s)beta=2.*integration_mode=serial"):
        check_params(sections)


def test_a_number_as_dvc_writes_it(tmp_path: Path) -> None:
    """`-S train.learning_rate=0.00001` is written as 1e-05, which YAML 1.1 reads as a string."""
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("learning_rate: 0.003", "learning_rate: 1e-05"))
    assert load_params(path).train.learning_rate == 1e-5


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"no such file; run this in the root"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(ParamsError, match=r"datasets: Field required"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(ParamsError, match=r"not valid YAML"):
        load_params(tmp_path / "params.yaml")


def test_sections_are_frozen() -> None:
    params = check_params(tree())
    with pytest.raises(ValueError, match="frozen"):
        params.train.learning_rate = 1.0  # type: ignore[misc]


def test_channels_of_their_own_need_a_split_by_blocks() -> None:
    sections = changed("run.datasets", EEG)
    sections["datasets"]["eegbci"]["tokenize"]["montage"] = "own"
    with pytest.raises(ParamsError, match=r"datasets.eegbci.tokenize.montage=own: .*split .* is of kind 'groups'"):
        check_params(sections)


def test_a_suite_names_datasets_that_have_a_block() -> None:
    with pytest.raises(ParamsError, match=r"suites.core_v1"):
        check_params(changed("suites.core_v1.datasets.nothing", {"kind": "digits", "modality": "image"}))


def test_a_dataset_may_have_training_and_head_of_its_own() -> None:
    other = changed("datasets.digits.train", {"learning_rate": 0.5})
    other["datasets"]["digits"]["head"] = {"pool": "last"}
    params = check_params(other)
    assert params.train_of("digits") == params.train.model_copy(update={"learning_rate": 0.5})
    assert params.head_of("digits") == params.head.model_copy(update={"pool": "last"})
    assert (params.train_of("eegbci"), params.head_of("eegbci")) == (params.train, params.head)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("datasets.digits.train.lerning_rate", 1, r"datasets.digits.train.lerning_rate=1: .*did you mean 'learning_ra"),
        ("datasets.digits.head.pool", "first", r"datasets.digits.head.pool=first: .*allowed: last, mean, attention"),
        ("datasets.digits.trian", {}, r"datasets.digits.trian: unknown key; did you mean 'train'"),
        ("evaluate.text_context", 1.0, r"evaluate.text_context"),
        ("evaluate.text_context", "carry", r"evaluate.text_context"),
        ("evaluate.text_lengths", [64, 32], r"evaluate.text_lengths=.*must rise from one to the next"),
        ("evaluate.text_lengths", [1], r"evaluate.text_lengths.0=1: .*greater than or equal to 2"),
        (
            "simulate.datasets",
            ["digits"],
            r"simulate.datasets: digits is no recording of an expert; its kind must be mu",
        ),
        (
            "simulate.datasets",
            ["reacher_cloning"],
            r"unknown dataset of simulate.datasets in run.datasets 'reacher_clo",
        ),
    ],
)
def test_what_a_task_of_its_own_cannot_have_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        check_params(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value", "kind", "modality"),
    [
        ("simulate.datasets", ["mujoco"], "mujoco_cloning", "trajectory"),
        ("simulate.datasets", ["swimmer_cloning"], "mujoco_cloning", "trajectory"),
        ("multimodal.sets", {"rat": ["cao2021_spikes", "digits"]}, "cao2021", "spikes"),
        ("multimodal.beside", {"digits": "mnist_5k"}, "mnist_5k", "image"),
        ("multimodal.beside", {"digits": "nilearn_haxby"}, "nilearn_haxby", "fmri"),
    ],
)
def test_a_dataset_that_the_run_lacks_comes_with_the_way_to_add_it(
    key: str, value: Any, kind: str, modality: str
) -> None:
    sections = changed(key, value)
    with pytest.raises(ParamsError) as caught:
        check_params(sections)
    way = re.search(r"neurofmx config set 'run.datasets.(\w+)=\{kind: (\w+), modality: (\w+)\}'", str(caught.value))
    assert way, str(caught.value)
    assert way.groups()[1:] == (kind, modality)
    sections["run"]["datasets"][way[1]] = {"kind": kind, "modality": modality}
    sections["multimodal"]["beside"] = {}  # which such sets are not read by
    check_params(sections)
    with pytest.raises(
        ParamsError, match=r"unknown dataset of simulate.datasets in run.datasets 'swimer'; known: [^;]*$"
    ):
        check_params(changed("simulate.datasets", ["swimer"]))


def test_a_state_is_not_carried_past_the_last_learnt_place() -> None:
    for context, places in (("carried", None), (0.5, 32), ("carried", 10**6)):
        sections = changed("evaluate.text_context", context)
        sections["run"]["datasets"]["wikitext2"] = {"kind": "wikitext2", "modality": "text"}
        sections["run"]["compare"] = []
        sections["datasets"]["wikitext2"]["tokenize"]["tokenizer_options"] = {"max_position_embeddings": places}
        if context == "carried" and places:
            with pytest.raises(ParamsError, match=r"embeddings=1000000: .*text_context=carried .*such as 0.5"):
                check_params(sections)
        else:
            check_params(sections)


def test_a_suite_has_references_of_its_own_datasets_alone() -> None:
    with pytest.raises(ParamsError, match=r"dataset of suites.core_v1.references .*'digit'; did you mean 'digits'"):
        check_params(changed("suites.core_v1.references", {"digit": 0.9}))


PRETRAINED = {"names": {"base": {}}, "datasets": {"dyer2017": {"kind": "dyer2017", "modality": "spikes"}}}
TEXT = {"names": {"base": None}, "datasets": {"wikitext2": {"kind": "wikitext2", "modality": "text"}}}
RAT = {"kind": "cao2021", "modality": "spikes"}
TWICE = {f"simulated{end}": {"kind": "simulated", "modality": "spikes"} for end in ("", "_lfp")}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "pretrain.names",
            {"base": {}},
            r"names=\['base'\], datasets=\[\]: a pretraining needs a name and a data",
        ),
        (
            "pretrain.losses",
            {"mmmd": 1.0},
            r"unknown loss of a pretraining 'mmmd'; did you mean 'mmd'",
        ),
        ("pretrain.losses", {"mmd": 0.0}, r"pretrain.losses.*give one loss a weight above 0"),
        ("pretrain.balance", "specie", r"pretrain.balance=specie: did you mean 'species'"),
        ("pretrain.mask.share", 1.0, r"pretrain.mask.share=1.0: .*less than 1"),
        (
            "pretrain",
            {"names": {"base": {}}, "datasets": TWICE},
            r"simulated and simulated_lfp are both simulated/spikes, one stream",
        ),
        ("pretrain", TEXT, r"pretrain.datasets: wikitext2 is a text, of which nothing can be masked"),
        (
            "pretrain",
            PRETRAINED | {"names": {"base": {"datasets": ["dyer2018"]}}},
            r"dataset of pretrain.names.base in pretrain.datasets 'dyer2018'; did you mean 'dyer2017'",
        ),
        (
            "pretrain",
            PRETRAINED | {"names": {"base": {"dataset": ["dyer2017"]}}},
            r"pretrain.names.base.dataset=.*unknown key; did you mean 'datasets'",
        ),
        (
            "pretrain",
            PRETRAINED | {"names": {"base": {"mask": {"shares": 0.2}}}},
            r"pretrain.names.base.mask.shares=0.2: unknown key; did you mean 'share'",
        ),
        (
            "pretrain",
            PRETRAINED | {"names": {"base": {"losses": {"specie": 0.1}}}},
            r"pretrain.names.base.losses.*unknown loss of a pretraining 'specie'; did you mean 'species'",
        ),
        ("pretrain", PRETRAINED | {"names": {"base": {"datasets": []}}}, r"pretrain.names.base.datasets=.*at least 1"),
        ("pretrain", PRETRAINED | {"names": {"a-b": {}}}, r"pretrain.names.a-b.*match pattern"),
        ("pretrain.fold", -1, r"pretrain.fold=-1: .*greater than or equal to 0"),
        (
            "pretrain",
            PRETRAINED | {"stimuli": ["dyer2017/spike"]},
            r"stream in pretrain.stimuli 'dyer2017/spike'; did you mean 'dyer2017/spikes'",
        ),
        ("pretrain.spikes", "poison", r"pretrain.spikes=poison: did you mean 'poisson'"),
        ("transfer.starts", ["finetune_base"], r"start in transfer.starts 'finetune_base'.* known: scratch"),
        ("transfer.learning_rate.fintune", 0.1, r"transfer.learning_rate.fintune=0.1: .*did you mean 'finetune'"),
        ("transfer.learning_rate.probe", 0.0, r"transfer.learning_rate.probe=0.0: .*greater than 0"),
        ("transfer.datasets", ["digits"], r"transfer.datasets=\['digits'\]: needs a pretraining"),
        (
            "transfer.datasets",
            ["digit"],
            r"transfer.datasets in run.datasets 'digit'; did you mean 'digits'",
        ),
        ("pretrain.losses", {"mmd": 1.0}, r"mmd cannot say which epoch is the best: give reconstruction"),
        ("transfer.shares", [10, 10], r"transfer.shares=.*\[10, 10\] names one twice"),
        ("transfer.shares", [0], r"transfer.shares.0=0: .*greater than or equal to 1"),
        ("multimodal.sets", {"one": ["digits"]}, r"multimodal.sets.one=.*at least 2 items"),
        ("multimodal.sets", {"two": ["digits", "fsdd"]}, r"dataset of multimodal.sets.two in run.datasets 'fsdd'"),
    ],
)
def test_what_the_multimodal_model_cannot_learn_from_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        check_params(changed(key, value))


def test_a_pretraining_has_datasets_that_the_run_does_not_name() -> None:
    other = changed("pretrain", PRETRAINED)
    other["transfer"] = {"datasets": ["digits"], "starts": ["scratch"], "shares": [50]}
    params = check_params(other)
    assert params.pretraining("dyer2017").dataset.name == "dyer2017"
    assert params.pretrain.stream("dyer2017") == "dyer2017/spikes"
    with pytest.raises(ValueError, match=r"unknown dataset in pretrain.datasets"):
        params.pretraining("digits")


def test_a_pretraining_has_what_it_names_otherwise_and_the_section_for_the_rest() -> None:
    names = {
        "base": None,
        "monkey": {"datasets": ["dyer2017"], "fold": None},
        "told": {"losses": {"species": 0.1, "forecast": 0.0}, "mask": {"share": 0.5}, "num_epochs": 3},
    }
    both = {"dyer2017": {"kind": "dyer2017", "modality": "spikes"}, "cao2021_spikes": RAT}
    params = check_params(changed("pretrain", tree()["pretrain"] | {"names": names, "datasets": both}))
    base, monkey, told = (params.pretrain.named(name) for name in names)
    assert base.datasets == told.datasets == ("dyer2017", "cao2021_spikes")
    assert (monkey.datasets, monkey.fold, base.fold) == (("dyer2017",), None, 0)
    assert told.losses == {"reconstruction": 1.0, "contrast": 0.1, "species": 0.1}
    assert (told.mask.share, told.mask.span_s, told.num_epochs) == (0.5, base.mask.span_s, 3)
    alike = {"losses", "mask", "num_epochs"}
    assert told.model_dump(exclude=alike) == base.model_dump(exclude=alike)
    with pytest.raises(ValueError, match=r"unknown pretraining in pretrain.names .*'bas'; did you mean 'base'"):
        params.pretrain.named("bas")


def test_starts_are_those_of_the_pretrainings_there_are() -> None:
    other = changed("pretrain", PRETRAINED)
    other["transfer"] = {"datasets": ["digits"], "starts": ["scratch", "probe_base", "finetune_base"]}
    rates = check_params(other).transfer.learning_rate
    assert (rates.of("finetune", otherwise=0.3), rates.of("probe", otherwise=0.3)) == (0.3, 0.3)
    other["transfer"]["learning_rate"] = {"finetune": 0.1}
    assert check_params(other).transfer.learning_rate.of("finetune", otherwise=0.3) == 0.1
    other["transfer"]["starts"] = ["finetune_bass"]
    with pytest.raises(ParamsError, match=r"start in transfer.starts 'finetune_bass'; did you mean 'finetune_base'"):
        check_params(other)


MOUSE = {
    "dlc_openfield_pose": {"kind": "dlc_openfield", "modality": "pose"},
    "dlc_openfield_video": {"kind": "dlc_openfield", "modality": "video"},
}


def posture(**changes: Any) -> dict[str, Any]:
    """params.yaml with a posture that is read with its film, and some values set."""
    read = {
        "run.datasets": {"digits": DIGITS} | MOUSE,
        "datasets.dlc_openfield_pose.tokenize.tokenizer": "behavior_video",
        "multimodal.beside": {"dlc_openfield_pose": "dlc_openfield_video"},
    }
    return params_tree(read | dotted(changes))


def test_a_dataset_is_read_beside_another() -> None:
    params = check_params(posture())
    assert params.multimodal.beside == {"dlc_openfield_pose": "dlc_openfield_video"}
    alone = check_params(posture(multimodal__beside={}))
    assert alone.dataset("dlc_openfield_pose").tokenize.tokenizer == "behavior_video", "which can do without"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"multimodal__beside": {"dlc_openfield_pos": "dlc_openfield_video"}},
            r"dataset of multimodal.beside in run.datasets 'dlc_openfield_pos'; did you mean 'dlc_openfield_pose'",
        ),
        (
            {"multimodal__beside": {"dlc_openfield_pose": "dlc_openfield_film"}},
            r"dataset of multimodal.beside in run.datasets 'dlc_openfield_film'",
        ),
        (
            {"multimodal__beside": {"dlc_openfield_pose": "dlc_openfield_pose"}},
            r"multimodal.beside.dlc_openfield_pose=dlc_openfield_pose: is the dataset itself",
        ),
        (
            {"multimodal__beside": {"dlc_openfield_pose": "dlc_openfield_video", "dlc_openfield_video": "digits"}},
            r"multimodal.beside.dlc_openfield_pose=dlc_openfield_video: has something beside it itself",
        ),
        (
            {"multimodal__beside": {"dlc_openfield_pose": "digits"}},
            r"tokenizer behavior_video reads no image beside .*: behavior_video reads video; video_audio reads audio",
        ),
        (
            {"datasets__dlc_openfield_pose__tokenize__tokenizer": None},
            r"multimodal.beside.dlc_openfield_pose=dlc_openfield_video: tokenizer linear reads no video beside its win",
        ),
        (
            {"datasets__dlc_openfield_video__tokenize__tokenizer": "video_audio"},
            r"datasets.dlc_openfield_video.tokenize.tokenizer=video_audio: reads audio, .* beside the windows; name a",
        ),
        (
            {"train__curriculum": "length"},
            r"multimodal.beside.dlc_openfield_pose: train.curriculum=length: such windows are read whole",
        ),
        (
            {"multimodal__sets": {"mouse": ["dlc_openfield_pose", "dlc_openfield_video"]}},
            r"multimodal.sets.mouse: dlc_openfield_pose is read with dlc_openfield_video beside it",
        ),
        (
            {
                "transfer__datasets": ["dlc_openfield_pose"],
                "pretrain": PRETRAINED,
            },
            r"transfer.datasets: dlc_openfield_pose is read with dlc_openfield_video beside it",
        ),
    ],
)
def test_what_cannot_be_read_as_one_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        check_params(posture(**changes))


def test_a_suite_may_read_datasets_beside_each_other() -> None:
    sections = tree()
    sections["suites"]["posture"] = {
        "datasets": MOUSE,
        "compare": [],
        "seeds": [1],
        "common": {
            "multimodal.beside.dlc_openfield_pose": "dlc_openfield_video",
            "datasets.dlc_openfield_pose.tokenize.tokenizer": "behavior_video",
        },
    }
    check_params(sections)
    params = check_params(variant_tree(sections, "posture"))
    assert params.multimodal.beside == {"dlc_openfield_pose": "dlc_openfield_video"}
    del sections["suites"]["posture"]["common"]["datasets.dlc_openfield_pose.tokenize.tokenizer"]
    with pytest.raises(ParamsError, match="tokenizer linear reads no video"):
        check_suite(sections, "posture")


def test_a_value_in_a_list_is_named_without_the_names_of_pydantic() -> None:
    problems = problems_of(("evaluate", "robustness"), Robustness, {"silenced": [0]})
    assert [each.split(": ")[0] for each in problems] == ["evaluate.robustness.silenced.0=0"] * 2


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.num_layers", True, "model.num_layers=true: must be a number"),
        ("model.num_layers", "2", "model.num_layers=2: must be a number"),
        ("model.learn_beta", 0, "model.learn_beta=0: must be true or false"),
        ("train.num_epochs", True, "train.num_epochs=true: must be a number"),
        ("evaluate.seeds", [True], "evaluate.seeds.0=true: must be a number"),
        ("datasets.digits.tokenize.patch", True, "datasets.digits.tokenize.patch=true: must be a number"),
        ("suites.core_v1.seeds", ["42"], "suites.core_v1.seeds.0=42: must be a number"),
    ],
)
def test_a_value_of_another_kind_is_refused(key: str, value: Any, said: str) -> None:
    with pytest.raises(ParamsError, match=re.escape(said)):
        check_params(changed(key, value))
