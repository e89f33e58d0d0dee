"""
A MONAI Label app that serves the project's bundles, trains them on labelled and unlabelled studies, and says which
study to label next. Its modules import ``monailabel`` and run in an environment of their own (``make label-env``).
"""
