"""``monai-proto prepare dicom``, as a script of the checkout."""

from monai_proto.cli.prepare.dicom import app

if __name__ == "__main__":
    app()
