"""
Medical Segmentation Decathlon folders, folders laid out like them, and folders of patients. Checks, division and output
are those of :mod:`monai_proto.preparation.volumes`.
"""
