"""``monai-proto prepare isic``, as a script of the checkout."""

from monai_proto.cli.prepare.isic import app

if __name__ == "__main__":
    app()
