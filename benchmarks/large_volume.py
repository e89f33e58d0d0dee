"""
Memory and time that the CT bundle's inference takes on a CT of 512 x 512 x 600 voxels, on the CPU.

    python -m benchmarks.large_volume                 # the missing runs, one at a time
    python -m benchmarks.large_volume --limit-gb 12   # a run that wants more address space is stopped and said to be

``tiles`` is the bundle as it is: labels in tiles, laid on the image's grid. ``score maps`` is the ordinary chain (as in
MONAI's bundles): ``SlidingWindowInferer``, softmax, inversion of all score maps, argmax.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.machine import machine_record
from monai_proto.phantoms import make_ct_phantom

BUNDLE = Path(__file__).parents[1] / "bundles" / "abdomen_ct_semisupervised"
RESULT = Path(__file__).parent / "results" / "large_volume.json"
SHAPE, SPACING = (512, 512, 600), (0.7, 0.7, 1.0)  # mm
PATCH = [96, 96, 96]
RUNS = [
    ("tiles", (4.0, 4.0, 4.0)),
    ("tiles", (1.5, 1.5, 1.5)),
    ("tiles", SPACING),
    ("score maps", (4.0, 4.0, 4.0)),
    ("score maps", (1.5, 1.5, 1.5)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-gb", type=float, default=14.0, help="address space of a run")
    limit = parser.parse_args().limit_gb
    records = json.loads(RESULT.read_text()) if RESULT.is_file() else []
    with tempfile.TemporaryDirectory() as folder:
        image = write_volume(Path(folder) / "ct.nii")
        for method, pixdim in RUNS:
            if any((record["method"], tuple(record["pixdim_mm"])) == (method, pixdim) for record in records):
                continue
            record = measure(method, pixdim, image, Path(folder) / "out", limit)
            records.append(record)
            RESULT.write_text(json.dumps(records, indent=1) + "\n")
            print({key: value for key, value in record.items() if key != "machine"}, flush=True)


def write_volume(file: Path) -> Path:
    """A phantom of 4 mm, its voxels repeated and its slices mirrored to the size of a whole-body CT, with noise."""
    phantom = make_ct_phantom(seed=11)
    spacing = np.linalg.norm(phantom.affine[:3, :3], axis=0)
    image = phantom.image
    for axis, (size, wanted) in enumerate(zip(SHAPE, SPACING, strict=True)):
        count = image.shape[axis]
        index = (np.arange(size) * wanted / spacing[axis]).astype(int)
        index = np.abs((index + count - 1) % (2 * count - 2) - (count - 1))[::-1]
        image = np.take(image, index, axis=axis)
    noise = np.random.default_rng(0).integers(-20, 20, (SHAPE[0], SHAPE[1], 1), dtype=np.int16)
    directions = phantom.affine[:3, :3] / spacing
    affine = np.eye(4)
    affine[:3, :3] = directions * SPACING
    nib.save(nib.Nifti1Image(image + noise, affine), file)
    return file


def measure(method: str, pixdim: Sequence[float], image: Path, output: Path, limit_gb: float) -> dict[str, Any]:
    """One run of the bundle in a process of its own: its peak of resident memory, in GB (1e9 bytes), and seconds."""
    configs = [str(BUNDLE / "configs" / "inference.json")]
    if method == "score maps":
        overlay = image.parent / "score_maps.json"
        overlay.write_text(json.dumps(_score_map_overlay()))
        configs.append(str(overlay))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs), "--device", "cpu"]
    overrides = {"bundle_root": BUNDLE, "dataset_dir": image.parent, "output_dir": output, "pixdim": list(pixdim)}
    overrides |= {"patch_size": PATCH, "overlap": 0.25, "sw_batch_size": 1}
    command += [part for name, value in overrides.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    limit = int(limit_gb * 1e9)
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    finished = process.returncode == 0
    if finished:
        mask = nib.load(output / "ct_seg.nii.gz")
        assert mask.shape == SHAPE, mask.shape
    return {
        "method": method,
        "pixdim_mm": list(pixdim),
        "shape": SHAPE,
        "spacing_mm": SPACING,
        "patch": PATCH,
        "finished": finished,
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),
        "limit_gb": limit_gb,
        "seconds": round(time.perf_counter() - started),
        "machine": machine_record(),
    }


def _score_map_overlay() -> dict[str, Any]:
    saving = json.loads((BUNDLE / "configs" / "inference.json").read_text())["postprocessing"]["transforms"][-1]
    inversion = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"}
    return {
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": "@patch_size",
            "sw_batch_size": "@sw_batch_size",
            "overlap": "@overlap",
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {**inversion, "nearest_interp": False, "to_tensor": True},
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                saving,
            ],
        },
    }


if __name__ == "__main__":
    main()
