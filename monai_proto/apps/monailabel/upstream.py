"""
What MONAI Label 0.8.5 gets wrong, or cannot do with the versions that this project uses, and what is done about it.

One entry for each; ``tests/test_apps/test_label_upstream.py`` has a test for each that fails once MONAI Label has
mended it, so that the entry and what it names can be deleted.

1. ``pydicom-seg`` 0.4.1 imports ``pydicom._storage_sopclass_uids``, which pydicom 3 no longer has:
   :func:`install_removed_pydicom_module`.
2. With MONAI 1.6 ``Spacingd`` updates every key that starts with ``image_``, and fails at the ``image_path`` that MONAI
   Label puts there: two ``Lambda`` in the bundles' preprocessing hide it.
3. ``LoadImaged`` of a bundle is rewired to return tuples, which subclasses do not expect:
   ``BundleTask.pre_transforms``.
4. A classifier's scores are "restored" to the size of the image, and it fails: ``ClassificationTask``.
5. Weights are loaded non-strictly, so that wrong ones serve garbage: ``BundleTask``.
6. ``{"pretrained": false}`` fails: ``BundleTraining``.
7. A training that cannot work is accepted, and fails in the background: ``server_routes.py``.
8. Errors of an app are answered by status 500 without a word: ``refusals.py``.
9. ``PUT /datastore/image`` and ``tag=`` of ``PUT /datastore/label`` write outside of the studies folder when asked
   to, and inference reads any file of the machine: :func:`require_plain_name`, ``StudyDatastore``,
   ``CheckedLabels``, ``ProtoLabelApp.infer``.
10. A label of another shape than its image is stored: ``CheckedLabels``.
11. Inference of many studies fails where there is no GPU, and ends at the first broken study:
    ``ProtoLabelApp.batch_infer``.
12. The page of the API loads its script from the internet, and stays empty without: ``server_routes.py``.
13. DICOM SEG are written by a program that is downloaded at the start: ``server_routes.py``, ``WebStudies``.
"""

from __future__ import annotations

import site
from pathlib import Path

__all__ = ["install_removed_pydicom_module", "require_plain_name"]

_MODULE = "monai_proto_pydicom_name"
_SOURCE = '''"""Lets pydicom-seg import what pydicom 3 no longer has; see monai_proto.apps.monailabel.upstream."""
import importlib.abc
import importlib.util
import sys


class _Removed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == "pydicom._storage_sopclass_uids" else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        import pydicom.uid

        module.SegmentationStorage = pydicom.uid.SegmentationStorage


sys.meta_path.append(_Removed())
'''


def install_removed_pydicom_module() -> Path:
    """
    Put the module where every Python process of this environment finds it, those that MONAI Label starts included.

    Returns:
        the ``.pth`` file that loads it.
    """
    folder = Path(site.getsitepackages()[0])
    (folder / f"{_MODULE}.py").write_text(_SOURCE, encoding="utf-8")
    loader = folder / f"{_MODULE}.pth"
    loader.write_text(f"import {_MODULE}\n", encoding="utf-8")
    return loader


def require_plain_name(name: str, what: str) -> None:
    """
    Raises:
        ValueError: when a name from a request would lead to another folder, or is hidden.
    """
    if not name or name.startswith(".") or any(mark in name for mark in ("/", "\\", "\0")) or ".." in name:
        raise ValueError(f"{what} must be a plain name, got {name!r}.")


if __name__ == "__main__":
    print(install_removed_pydicom_module())
