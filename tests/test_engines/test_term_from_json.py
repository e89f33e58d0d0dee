"""A term that this file defines, in the hippocampus bundle's JSON: one entry, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch import nn

from monai_proto.data import write_mri_phantom_dataset
from monai_proto.losses.terms import SemiSupervisedStep, Term, UnlabelledView

CONFIGS = Path(__file__).parents[2] / "bundles" / "hippocampus_mri_semisupervised" / "configs"


class ForegroundShareTerm(Term):
    """The share of the foreground on unlabelled images should be a number that is learnt; its mean is kept."""

    learning_rate_factor = 2.0

    def __init__(self, keys: list[str], start: float, weight: float = 1.0) -> None:
        super().__init__("foreground_share", weight, ramped=False, views=[UnlabelledView(keys)])
        self.share = nn.Parameter(torch.tensor(start))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        self.steps += 1
        (view,) = self.views
        found = 1 - step.student(view).logits.float().softmax(dim=1)[:, 0].mean()
        return (found - self.share).square()


def run(folder: Path, dataset: Path, max_epochs: int, resume: bool = False, initial_seed: int = 0) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(str(CONFIGS / "train.json"))
    entry = {"_target_": f"{__name__}.ForegroundShareTerm", "keys": ["image"], "start": 0.3, "weight": 0.7}
    parser["terms"] = [*parser["terms"], entry]
    parser.update(
        {
            "bundle_root": str(CONFIGS.parent),
            "dataset_dir": str(dataset),
            "ckpt_dir": str(folder),
            "output_dir": str(folder),
            "device": "$torch.device('cpu')",
            "amp": False,
            "use_tensorboard": False,
            "max_epochs": 2,
            "iterations_per_epoch": 2,
            "val_interval": 2,
            "patch_size": [16, 16, 16],
            "resume": resume,
            "train#trainer#max_epochs": max_epochs,
            "train#trainer#decollate": False,
        }
    )
    torch.manual_seed(initial_seed)
    parser.get_parsed_content("train#trainer").run()
    return parser


def test_a_users_term_is_optimised_logged_saved_and_resumed(tmp_path):
    dataset = tmp_path / "phantoms"
    write_mri_phantom_dataset(dataset, num_training=6, num_validation=1)
    whole = run(tmp_path / "whole", dataset, 2)
    trainer = whole.get_parsed_content("train#trainer")
    term = trainer.terms["foreground_share"]
    assert term.steps == 4
    assert term.share != 0.3
    groups = {group["name"]: group["initial_lr"] for group in trainer.optimizer.param_groups}
    assert groups["foreground_share"] == 2 * groups["network"]
    output = trainer.state.output
    parts = {name: output[f"loss_{name}"] for name in trainer.terms}
    ramped = 0.1 * parts["contrastive"] + 0.1 * parts["compactness"]
    expected = parts["supervised"] + parts["copy_paste"] + output["ramp"] * ramped + 0.7 * parts["foreground_share"]
    torch.testing.assert_close(output["loss"], expected)

    run(tmp_path / "stopped", dataset, 1)
    resumed = run(tmp_path / "stopped", dataset, 2, resume=True, initial_seed=99)
    again = resumed.get_parsed_content("train#trainer")
    assert again.terms["foreground_share"].steps == 4
    for name, value in trainer.terms.state_dict().items():
        assert torch.equal(value, again.terms.state_dict()[name]), name
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
