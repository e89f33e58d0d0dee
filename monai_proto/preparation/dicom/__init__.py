"""
Trees of mixed DICOM files. Converted series are divided by :mod:`monai_proto.preparation.volumes.division`, as the
volumes of every pipeline are; the other steps are here.
"""
