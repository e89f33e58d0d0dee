"""
From a data set as it comes to a checked data list. Each pipeline has a folder with the same steps under the same names:
``source`` (what there is), ``checks`` (what of it can be used), ``division`` (which case goes where), ``output`` (data
list), and ``prepare``, whose function takes them in this order and returns what came of it. ``volumes`` has the steps
that the pipelines of volumes share; ``case_report`` writes the report of all of them.
"""

from monai_proto.preparation.case_report import CaseReport

__all__ = ["CaseReport"]
