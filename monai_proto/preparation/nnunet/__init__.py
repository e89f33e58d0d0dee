"""
Raw folders of nnU-Net, version 1 and 2, and the way back: predictions as nnU-Net names them. Checks, division and
output of the prepared data set are those of :mod:`monai_proto.preparation.volumes`.
"""
