"""
What MONAI Label gets wrong, see monai_proto.apps.monailabel.upstream: each test here fails once it has been mended, and
says what can be deleted then.
"""

from __future__ import annotations

import json
import textwrap

import pytest
from label_server import ROOT, run_in_label_env

BUNDLE = ROOT / "bundles" / "hippocampus_mri_semisupervised"

# what is done, what comes of it as long as upstream is as it is, what can be deleted when something else comes of it
CASES = {
    "spacing": (
        """
        item = {"image": MetaTensor(torch.zeros(1, 4, 4, 4), meta={"filename_or_obj": "a.nii.gz"}), "image_path": "a"}
        Spacingd("image", (1, 1, 1))(item)
        """,
        "AttributeError: 'str' object has no attribute 'update'",
        "the two Lambda around Spacingd in the bundles",
    ),
    "loader": (
        """
        load = BundleInferTask(BUNDLE, {}).pre_transforms({"device": "cpu"})[0]
        load({"image": f"{folder}/image.nii.gz"})
        """,
        "TypeError",
        "BundleTask.pre_transforms",
    ),
    "classifier": (
        """
        image = MetaTensor(torch.zeros(3, 8, 8), meta={"spatial_shape": [8, 8]})
        Restored("pred", ref_image="image")({"image": image, "pred": MetaTensor(torch.rand(7))})
        """,
        "ValueError: operands could not be broadcast",
        "what ClassificationTask does in place of upstream's post-processing",
    ),
    "weights": (
        """
        shutil.copytree(BUNDLE, f"{folder}/bundle")
        torch.save({"model": {"other.weight": torch.zeros(3)}}, f"{folder}/bundle/models/model.pt")
        BundleInferTask(f"{folder}/bundle", {})._get_network("cpu", None)
        """,
        "done",
        "BundleTask._get_network",
    ),
    "scratch": (
        'BundleTrainTask(BUNDLE, {})._load_checkpoint("model.pt", False, [])',
        "TypeError: stat: path should be",
        "what BundleTraining does in place of upstream's __call__",
    ),
    "training": (
        """
        task.app_instance = type("App", (), {"info": lambda self: {}, "bundle_path": lambda self, model: None})
        task.run_background_task = lambda request, method: {"status": "SUBMITTED"}
        train.run_model("no such model")
        """,
        "done",
        "run_checked in server_routes.py",
    ),
    "errors": (
        "assert MONAILabelException in app.exception_handlers, 'no handler'",
        "AssertionError: no handler",
        "the translation of MONAILabelException in refusals.py",
    ),
    "page": (
        "assert b'https://cdn' in asyncio.run(custom_swagger_ui_html()).body",
        "done",
        "the page in server_routes.py, and fastapi-offline",
    ),
    "batch": (
        """
        torch.cuda.device_count = lambda: 0
        BatchInferTask()({"model": "m", "images": "all"}, store, lambda request, datastore: {})
        """,
        "ZeroDivisionError",
        "multi_gpu in ProtoLabelApp.batch_infer",
    ),
    "dcmqi": (
        """
        def download_and_extract(url, output_dir):
            raise ConnectionError(url)

        interfaces.app.download_and_extract = download_and_extract
        interfaces.app.MONAILabelApp._download_dcmqi_tools(SimpleNamespace(app_dir=folder))
        """,
        "ConnectionError: https://github.com/QIICR/dcmqi",
        "init_datastore's own way to a DICOMweb server, and the route of output=dicom_seg",
    ),
    "names": (
        """
        store.add_image("../evil", f"{folder}/image.nii.gz", {})
        store.save_label("study", f"{folder}/image.nii.gz", "../../evil_tag", {})
        assert os.path.exists(f"{folder}/evil.nii.gz") and os.path.exists(f"{folder}/evil_tag/study.nii.gz")
        """,
        "done",
        "require_plain_name",
    ),
    "label": (
        """
        store.save_label("study", f"{folder}/label.nii.gz", "final", {})
        assert os.path.exists(f"{folder}/studies/labels/final/study.nii.gz")
        """,
        "done",
        "label_problem in CheckedLabels.save_label",
    ),
}
SET_UP = """
import asyncio, json, os, shutil, nibabel, numpy, torch
from types import SimpleNamespace
from monai.data import MetaTensor
from monai.transforms import Spacingd
from monailabel.app import app, custom_swagger_ui_html
from monailabel.datastore.local import LocalDatastore
from monailabel.endpoints import train
from monailabel import interfaces
from monailabel.interfaces.exception import MONAILabelException
from monailabel.interfaces.tasks.batch_infer import BatchInferTask
from monailabel.tasks.infer.bundle import BundleInferTask
from monailabel.tasks.train.bundle import BundleTrainTask
from monailabel.transform.post import Restored
from monailabel.utils.async_tasks import task

for name, size in (("image", 4), ("label", 5)):
    nibabel.save(nibabel.Nifti1Image(numpy.ones((size,) * 3, "f4"), numpy.eye(4)), f"{folder}/{name}.nii.gz")
store = LocalDatastore(f"{folder}/studies", extensions=["*.nii.gz"])
store.add_image("study", f"{folder}/image.nii.gz", {})
found = {}
for case, code in CASES.items():
    try:
        exec(code)
        found[case] = "done"
    except Exception as error:
        found[case] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Case -> what came of it."""
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "studies").mkdir()
    codes = {case: textwrap.dedent(code) for case, (code, *_) in CASES.items()}
    result = run_in_label_env(f"folder, BUNDLE, CASES = {str(folder)!r}, {str(BUNDLE)!r}, {codes!r}\n{SET_UP}")
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_still_needed(found, case):
    _, expected, delete = CASES[case]
    assert found[case].startswith(expected), f"upstream has changed ({found[case]}): see whether to delete {delete}"


def test_pydicom_seg_needs_a_module_that_pydicom_lacks():
    without = "import sys; sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != '_Removed']; "
    result = run_in_label_env(without + "import pydicom_seg")
    assert "No module named 'pydicom._storage_sopclass_uids'" in result.stderr, "delete install_removed_pydicom_module"
    assert run_in_label_env("import pydicom_seg").returncode == 0  # with ours
