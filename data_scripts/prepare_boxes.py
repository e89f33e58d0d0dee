"""``monai-proto prepare boxes``, as a script of the checkout."""

from monai_proto.cli.prepare.boxes import app

if __name__ == "__main__":
    app()
