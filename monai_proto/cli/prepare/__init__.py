"""``monai-proto prepare``: data as it comes to a checked data list; a module a kind."""

from __future__ import annotations

import typer

from monai_proto.cli.prepare import boxes, decathlon, dicom, isic, nnunet, totalsegmentator

__all__ = ["prepare"]

prepare = typer.Typer(
    help="From data as it comes to a checked data list, divided by patient.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)
for _name, _module in {
    "decathlon": decathlon,
    "nnunet": nnunet,
    "totalsegmentator": totalsegmentator,
    "dicom": dicom,
    "isic": isic,
    "boxes": boxes,
}.items():
    prepare.command(_name)(_module.main)
