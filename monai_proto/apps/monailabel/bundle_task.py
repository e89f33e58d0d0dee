"""What the app's inference tasks share: a bundle of the workspace whose weights have to fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.transforms import SaveImaged
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask
from monailabel.tasks.infer.bundle import BundleConstants, BundleInferTask

from monai_proto.apps.monailabel.label_checks import is_picture
from monai_proto.apps.monailabel.refusals import refuse
from monai_proto.apps.monailabel.upstream import require_plain_name
from monai_proto.apps.monailabel.workspace import MODEL_NAME, BundleCopy
from monai_proto.data.bundle_metadata import METADATA_NAME, read_metadata
from monai_proto.handlers.named_checkpoint_loader import load_named_checkpoint

__all__ = ["BundleTask"]

_TYPES = {
    "segmentation": InferType.SEGMENTATION,
    "classification": InferType.CLASSIFICATION,
    "promptable": InferType.DEEPGROW,
}


class BundleTask(BundleInferTask):
    """
    MONAI Label's ``BundleInferTask`` with weights that are loaded strictly.

    Args:
        bundle: copy in the workspace.
        conf: of the server.
    """

    def __init__(self, bundle: BundleCopy, conf: dict[str, str]) -> None:
        # not BundleInferTask's: that builds the network now, in every process that the server starts
        self.bundle = bundle
        self.const = BundleConstants()
        self.pre_filter, self.post_filter, self.add_post_restore = None, [SaveImaged], bundle.kind == "segmentation"
        self.bundle_path = str(bundle.path)
        self.bundle_config_path = str(bundle.path / "configs" / "inference.json")
        self.bundle_config = self._load_bundle_config(self.bundle_path, self.bundle_config_path)
        metadata = read_metadata(bundle.path / "configs" / METADATA_NAME)
        self.key_image, self.key_pred = "image", "pred"
        self.valid, self.version = True, metadata.get("version")
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        BasicInferTask.__init__(
            self,
            path=str(bundle.models / MODEL_NAME),
            network=None,
            type=_TYPES[bundle.kind],
            labels={name: int(value) for value, name in channels.items() if name != "background"},
            dimension=3 if bundle.volumes else 2,
            description=metadata.get("description", ""),
        )

    def config(self) -> dict[str, Any]:
        """Options that a client may set."""
        names = sorted((f.name for f in self.bundle.models.glob("*.pt")), key=lambda name: (name != MODEL_NAME, name))
        return {**self._config, "model_filename": names}

    def require_kind(self, image: Any) -> None:
        """
        Raises:
            ValueError: when the image is a photograph and the bundle takes volumes, or the other way round.
        """
        if is_picture(str(image)) == self.bundle.volumes:
            takes = "volumes" if self.bundle.volumes else "photographs"
            raise ValueError(f"{self.bundle.name} takes {takes}, and {os.path.basename(str(image))} is none.")

    def weights_file(self, request: dict[str, Any] | None) -> str:
        """
        The file of weights that a request is about: ``model_filename`` of the bundle's, else ``model.pt``.

        Raises:
            HTTPException: 422 when the name is no plain name, 404 when there is no such file.
        """
        name = (request or {}).get("model_filename") or MODEL_NAME
        name = name if isinstance(name, str) else name[0]
        try:
            require_plain_name(name, "model_filename")
        except ValueError as error:
            refuse(422, str(error))
        file = self.bundle.models / name
        if not file.is_file():
            refuse(404, f"Bundle {self.bundle.name} has no weights {name}.")
        return str(file)

    def _get_network(self, device: str, data: dict[str, Any] | None) -> Any:
        """
        The network with the weights asked for, of the class that the bundle names; kept until the file changes.

        Raises:
            HTTPException: 409 when the weights are not this network's.
        """
        file = self.weights_file(data)
        stamp = (os.path.realpath(file), os.stat(file).st_mtime_ns)
        kept = self._networks.get(device)
        if kept and kept[1] == stamp:
            return kept[0]
        network = self._build_network().to(torch.device(device))
        try:
            load_named_checkpoint(file, {"model": network}, device)
        except ValueError as error:
            refuse(409, f"The weights of {self.bundle.name} are not served: {error}")
        self._networks[device] = (network.eval(), stamp)
        return network

    def pre_transforms(self, data: dict[str, Any] | None = None) -> list[Callable]:
        """The bundle's own, as they are: upstream rewires every ``LoadImaged``, and ours are stricter ones."""
        self._update_device(data)
        return list(self.bundle_config.get_parsed_content("preprocessing", instantiate=True).transforms)

    def _load_bundle_config(self, path: str, config: str) -> ConfigParser:
        """Without the bundle's data list, which would make phantoms: images come with requests."""
        loaded = super()._load_bundle_config(path, config)
        loaded.config["datalist"] = []
        return loaded

    def load_network(self, device: str) -> torch.nn.Module:
        """The network with the weights that are served."""
        return self._get_network(device, None)

    def _build_network(self) -> torch.nn.Module:
        """From a parser of its own, read anew: a training may have changed the classes."""
        config = self._load_bundle_config(self.bundle_path, self.bundle_config_path)
        return config.get_parsed_content("network_def", instantiate=True)
