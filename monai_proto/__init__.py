"""monai_proto: class memory bank, prototype head and SAM weak supervision as ordinary MONAI parts."""

__version__ = "0.1.0"
