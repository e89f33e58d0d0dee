from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from monai_proto.workflows.overrides import (
    config_files_within,
    default_values,
    override_problems,
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
    return override_problems(config, default_values(config_files_within(config, bundle / "configs")))


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
    assert override_problems(config, default_values([TRAIN])) == []


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
