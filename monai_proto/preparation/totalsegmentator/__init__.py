"""
TotalSegmentator-style folders: one folder a subject, one mask an organ. Checks, division and output of the merged label
maps are those of :mod:`monai_proto.preparation.volumes`.
"""
