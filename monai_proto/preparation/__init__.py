"""
From a data set as it comes to a checked data list. Each pipeline has a folder with the same steps under the same names:
``source`` (what there is), ``checks`` (what of it can be used), ``division`` (which case goes where), ``output`` (data
list and report), and ``prepare``, which takes them in this order. ``volumes`` has the steps that all pipelines of
volumes share.
"""

from monai_proto.preparation.case_report import CaseReport

__all__ = ["CaseReport"]
