"""``monai-proto prepare totalsegmentator``, as a script of the checkout."""

from monai_proto.cli.prepare.totalsegmentator import app

if __name__ == "__main__":
    app()
