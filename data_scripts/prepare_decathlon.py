"""``monai-proto prepare decathlon``, as a script of the checkout."""

from monai_proto.cli.prepare.decathlon import app

if __name__ == "__main__":
    app()
