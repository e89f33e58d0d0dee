"""``python -m monai_proto``: the console command ``monai-proto``."""

from monai_proto.cli.main import app

if __name__ == "__main__":
    app(prog_name="monai-proto")
