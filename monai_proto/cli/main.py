"""The console command ``monai-proto``."""

from __future__ import annotations

import typer

from monai_proto.cli.dicom import dicom_node, dicom_seg
from monai_proto.cli.evaluate import evaluate
from monai_proto.cli.label import label
from monai_proto.cli.predict import explain, predict
from monai_proto.cli.train import train

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Programs of monai_proto for use beside a PACS and in annotation."""


app.command("dicom-seg")(dicom_seg)
app.command("dicom-node")(dicom_node)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("predict")(predict)
app.command("explain")(explain)
app.command("label")(label)
