"""``monai-proto prepare nnunet``, as a script of the checkout."""

from monai_proto.cli.prepare.nnunet import app

if __name__ == "__main__":
    app()
