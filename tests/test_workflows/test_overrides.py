from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from monai_proto.workflows.overrides import (
    check_overrides,
    config_files_within,
    config_problems,
    default_values,
    override_problems,
    parse_overrides,
    read_config_file,
    with_truth_values,
)

BUNDLES = sorted(path for path in (Path(__file__).parents[2] / "bundles").iterdir())
TRAIN = BUNDLES[-1] / "configs" / "train.json"
RUNS = [
    ("train.json",),
    ("train.json", "supervised_train.json"),
    ("train.json", "multi_gpu_train.json"),
    ("train.json", "evaluate.json"),
    ("inference.json",),
]


def merged(bundle: Path, files: tuple[str, ...], **overrides) -> dict:
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / name) for name in files])
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    parser.update(overrides)
    return parser.get()


def problems_of(bundle: Path, files: tuple[str, ...], **overrides) -> list[str]:
    config = merged(bundle, files, **overrides)
    return config_problems(config, default_values(config_files_within(config, bundle / "configs")))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
@pytest.mark.parametrize("files", RUNS, ids="+".join)
def test_bundles_as_they_are_have_no_problem(bundle, files):
    if all((bundle / "configs" / name).is_file() for name in files):
        assert problems_of(bundle, files) == []


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
@pytest.mark.parametrize("files", RUNS, ids="+".join)
def test_the_files_of_a_run_are_found_again(bundle, files):
    if all((bundle / "configs" / name).is_file() for name in files):
        found = {path.name for path in config_files_within(merged(bundle, files), bundle / "configs")}
        assert set(files) <= found
        assert ("inference.json" in found) == ("inference.json" in files)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("data_dir", "dataset_dir"),
        ("num_labeled", "num_labelled"),
        ("max_epoch", "max_epochs"),
        ("learning_rat", "learning_rate"),
        ("ckpt_path", "ckpt_dir"),  # an option of inference.json
        ("train#optimiser_step", None),
    ],
)
def test_a_name_that_nothing_reads_is_refused_with_the_nearest(name, meant):
    (problem,) = problems_of(BUNDLES[-1], ("train.json",), **{name: 3})
    assert repr(name) in problem
    if meant:
        assert f"Did you mean {meant!r}?" in problem


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("max_epochs", "five", "a whole number such as 40"),
        ("max_epochs", 2.5, "a whole number"),
        ("max_epochs", True, "a whole number"),
        ("learning_rate", "fast", "a number such as 0.001"),
        ("patch_size", 32, "a list such as [32, 48, 32]"),
        ("resume", 1, "true or false"),
        ("train", 1, "a group"),
    ],
)
def test_a_value_of_another_type_is_refused(name, value, kind):
    (problem, *_) = problems_of(BUNDLES[-1], ("train.json",), **{name: value})
    assert problem.startswith(f"{name} must be {kind}")
    assert problem.endswith(f"got {value!r}.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 1),
        ("max_epochs", "$3 * 4"),
        ("num_labelled", None),
        ("num_labelled", -1),
        ("labelled_draw", 4),
        ("patch_size", (16, 16, 16)),
        ("dataset_dir", "/data"),
        ("resume", "true"),
        ("optimizer", {"_target_": "torch.optim.SGD"}),
        ("_note", "mine"),
        ("bundle_root", "/x"),
        ("dataset_dir", 2024),
    ],
)
def test_what_fits_passes(name, value):
    assert problems_of(BUNDLES[-1], ("train.json",), **{name: value}) == []


def test_an_entry_that_a_users_file_adds_and_uses_passes(tmp_path):
    config = merged(BUNDLES[-1], ("train.json",), my_rate=0.1, learning_rate="@my_rate")
    assert config_problems(config, default_values([TRAIN])) == []


def test_data_in_the_place_of_an_expression_are_nobodys_entries():
    """As MONAI Label gives its studies."""
    assert problems_of(BUNDLES[-1], ("train.json",), datalist={"labelled": [], "unlabelled": [], "any": []}) == []


@pytest.fixture
def config(tmp_path) -> Path:
    file = tmp_path / "train.json"
    train = {"handlers": [{"interval": 1}], "optimizer": {"_target_": "Adam", "lr": 0.1}, "trainer": "$f(@train#more)"}
    file.write_text(json.dumps({"num_labelled": 3, "train": train, "datalist": "$load()"}))
    return file


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_labeled", 10, "Nothing in this bundle reads '--set num_labeled'. Did you mean '--set num_labelled'?"),
        ("num_labelled", "ten", "--set num_labelled must be a whole number such as 3, got 'ten'."),
        ("train::handlers::0::intervall", 10, "Did you mean '--set train#handlers#0#interval'?"),
        ("train#handlers#0#interval", "often", "--set train#handlers#0#interval must be a whole number such as 1"),
        ("train#handlers#1#interval", 10, "train#handlers has 1 entries."),
        ("datalist#labelled", [], "datalist has no entries."),
        ("train#optimizer#lr", "fast", "must be a number such as 0.1"),
    ],
)
def test_what_is_wrong_with_an_override_is_said_as_it_was_typed(config, name, value, said):
    (problem,) = override_problems([config], {name: value}, "--set {}")
    assert said in problem
    with pytest.raises(ValueError, match="num_labelled must be"):
        check_overrides([config], {name: value, "num_labelled": "x"})


@pytest.mark.parametrize(
    "name", ["num_labelled", "train#handlers#0#interval", "train#optimizer#betas", "train#more", "_mine", "train#_mine"]
)
def test_an_override_that_something_reads_passes(config, name):
    check_overrides([config], {name: 1})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_epochs=4", {"max_epochs": 4}),
        ("rate=1e-4", {"rate": 1e-4}),
        ("train::trainer::max_epochs=0.5", {"train#trainer#max_epochs": 0.5}),
        ("labels=['a', 'b']", {"labels": ["a", "b"]}),
        ("labels=[naevus, melanoma]", {"labels": ["naevus", "melanoma"]}),
        ("resume=true", {"resume": True}),
        ("num_labelled=None", {"num_labelled": None}),
        ("num_labelled=null", {"num_labelled": None}),
        ("sam=a=b.pth", {"sam": "a=b.pth"}),
        ("sam=box #1.pth", {"sam": "box #1.pth"}),
        ("rate=$2 * 3", {"rate": "$2 * 3"}),
        ("data=@train#dataset", {"data": "@train#dataset"}),
        ("word=early", {"word": "early"}),
        ("date=2024-01-02", {"date": "2024-01-02"}),
        ("device=cpu", {"device": "$torch.device('cpu')"}),
        ("device=$torch.device('cuda')", {"device": "$torch.device('cuda')"}),
    ],
)
def test_overrides_are_what_they_look_like(setting, value):
    assert parse_overrides([setting]) == value


@pytest.mark.parametrize("setting", ["max_epochs", "=4", " =4"])
def test_what_is_no_override_is_refused(setting):
    with pytest.raises(ValueError, match="--set takes KEY=VALUE"):
        parse_overrides([setting])


def test_words_for_truth_become_truth_values():
    config = {**read_config_file(TRAIN), "resume": "False", "overwrite": "true", "dataset_dir": "true"}
    assert with_truth_values(config, default_values([TRAIN])) == {"resume": False, "overwrite": True}


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not valid JSON"), ("[]", "must hold a JSON object, got a list")]
)
def test_files_that_are_no_configuration_are_named(tmp_path, text, message):
    file = tmp_path / "train.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"{file} {message}"):
        read_config_file(file)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_config_file(tmp_path / "none.json")
