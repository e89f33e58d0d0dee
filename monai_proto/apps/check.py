"""What `monai-proto check` looks at before anything trains: configuration, data list, classes, weights, memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from monai_proto.workflows.catalog import describe_bundle, find_bundle
from monai_proto.workflows.errors import error_text
from monai_proto.workflows.overrides import override_problems, read_config_file
from monai_proto.workflows.run_start import describe_data

if TYPE_CHECKING:
    from monai.bundle import ConfigParser
    from torch import nn

__all__ = ["Finding", "check_bundle"]

_TRAIN = "train.json"
_BYTES = 4  # of a float32
# of a weight that is trained with Adam and followed by an averaged teacher: itself, gradient, two moments, the teacher
_COPIES_OF_A_WEIGHT = 5


class Finding(NamedTuple):
    """One thing that was looked at: ``ok``, ``note`` (worth knowing) or ``error``, and a sentence or more."""

    what: str
    state: Literal["ok", "note", "error"]
    text: str


def check_bundle(
    bundle: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    option: str = "{}",
) -> list[Finding]:
    """
    Look at everything that a training of a bundle needs, as far as seconds allow: no image is read.

    Args:
        bundle: name or folder.
        data: folder with ``dataset.json``; None for the bundle's phantoms.
        overrides: of ``train.json``.
        weights: checkpoint that is to fit; None for the bundle's own.
        option: how a person names an override, ``"--set {}"`` for instance.

    Returns:
        findings in the order in which they were made. When overrides or paths do not fit, nothing after them is looked
        at.

    Raises:
        ValueError: when there is no such bundle.
    """
    folder = find_bundle(bundle)
    given = dict(overrides or {})
    if data is not None:
        given["dataset_dir"] = os.path.abspath(Path(data).expanduser())
    findings = [*_configuration(folder), *_overrides(folder, given, option), *_paths(folder, given)]
    if any(finding.state == "error" for finding in findings):
        return findings
    parser = _parser(folder, given)
    findings += _guarded("data list", lambda: _data_list(parser, data is None and "dataset_dir" not in given))
    if any(finding.state == "error" for finding in findings):
        return findings
    checkpoint = Path(weights or folder / "models" / "model.pt").expanduser()
    for what, look in {
        "classes": lambda: _classes(parser, folder, checkpoint),
        "weights": lambda: _weights(parser, checkpoint, weights is not None),
        "memory": lambda: _memory(parser),
    }.items():
        findings += _guarded(what, look)
    return findings


def _guarded(what: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Findings; what goes wrong while looking is one."""
    try:
        return list(look())
    except Exception as error:  # of any component that a configuration may name
        return [Finding(what, "error", error_text(error))]


def _configuration(folder: Path) -> Iterator[Finding]:
    files = sorted((folder / "configs").glob("*.json"))
    if not (folder / "configs" / _TRAIN).is_file():
        yield Finding("configuration", "error", f"{folder} has no configs/{_TRAIN}.")
        return
    for file in files:
        try:
            read_config_file(file)
        except ValueError as error:
            yield Finding("configuration", "error", str(error))
            return
    info = describe_bundle(folder)
    yield Finding("configuration", "ok", f"{info.name} {info.version}: {info.task} ({len(files)} files)")


def _overrides(folder: Path, given: Mapping[str, Any], option: str) -> Iterator[Finding]:
    if not (folder / "configs" / _TRAIN).is_file():
        return
    problems = override_problems([folder / "configs" / _TRAIN], given, option)
    yield from (Finding("overrides", "error", problem) for problem in problems)
    if not problems and given:
        yield Finding("overrides", "ok", ", ".join(f"{name}={value}" for name, value in given.items()))


def _paths(folder: Path, given: Mapping[str, Any]) -> Iterator[Finding]:
    data = given.get("dataset_dir")
    if isinstance(data, str) and data[:1] not in ("$", "@", "%") and not Path(data).exists():
        yield Finding("paths", "error", f"The data folder {data} does not exist.")
    for name in ("ckpt_dir", "output_dir"):
        place = given.get(name)
        if not isinstance(place, str) or place[:1] in ("$", "@", "%"):
            continue
        existing = next(
            parent for parent in (Path(place).absolute(), *Path(place).absolute().parents) if parent.exists()
        )
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            yield Finding(
                "paths", "error", f"{name} {place} cannot be written to: {existing} is not a folder of yours."
            )


def _parser(folder: Path, given: Mapping[str, Any]) -> ConfigParser:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / _TRAIN))
    parser.read_meta(str(folder / "configs" / "metadata.json"))
    parser.update({"bundle_root": str(folder), "device": "$torch.device('cpu')", **given})
    return parser


def _data_list(parser: ConfigParser, phantoms: bool) -> Iterator[Finding]:
    datalist = parser.get_parsed_content("datalist")
    folder = parser.get_parsed_content("dataset_dir")
    line = describe_data(folder, datalist, phantoms)
    yield Finding("data list", "note" if phantoms else "ok", line.removeprefix("Data: "))
    empty = [part for part in ("labelled", "training", "validation") if part in datalist and not datalist[part]]
    if empty:
        yield Finding("data list", "error", f"{folder} has no cases for {' and '.join(empty)}.")
    if "unlabelled" in datalist and not datalist["unlabelled"]:
        yield Finding(
            "data list",
            "error",
            f"{folder} leaves no unlabelled case: lower num_labelled, or use supervised_train.json.",
        )


def _classes(parser: ConfigParser, folder: Path, checkpoint: Path) -> Iterator[Finding]:
    """Names of the data list against the network's number of classes, and against the checkpoint's names."""
    if "num_classes" not in parser:
        yield Finding("classes", "ok", "one structure for each object, whatever its name")
        return
    from monai_proto.data.bundle_metadata import read_metadata

    names = _names_of_data(str(parser.get_parsed_content("dataset_dir")))
    number = int(parser.get_parsed_content("num_classes"))
    if len(names) != number:
        yield Finding(
            "classes",
            "error",
            f"The data list has {len(names)} classes ({', '.join(names)}), the configuration num_classes={number}.",
        )
        return
    beside = checkpoint.parent / "metadata.json"
    file = beside if beside.is_file() else folder / "configs" / "metadata.json"
    outputs = read_metadata(file).get("network_data_format", {}).get("outputs", {}).get("pred", {})
    trained = [str(name) for _, name in sorted(outputs.get("channel_def", {}).items(), key=lambda item: int(item[0]))]
    if trained and trained != names:
        other = "in another order" if sorted(trained) == sorted(names) else "other classes"
        yield Finding(
            "classes",
            "note",
            f"The weights {checkpoint} know {other}: {', '.join(trained)}; the data list has {', '.join(names)}. "
            "Training starts anew; the weights must not answer for this data.",
        )
    else:
        yield Finding("classes", "ok", ", ".join(names))


def _names_of_data(dataset_dir: str) -> list[str]:
    from monai_proto.data.bundle_metadata import names_by_value

    file = Path(dataset_dir)
    file = file / "dataset.json" if file.is_dir() else file
    return names_by_value(json.loads(file.read_text(encoding="utf-8")).get("labels"), f"labels of {file}")


def _weights(parser: ConfigParser, checkpoint: Path, asked: bool) -> Iterator[Finding]:
    """Names and shapes of the tensors against those of the network; nothing is computed."""
    import torch

    if not checkpoint.is_file():
        state: Literal["error", "note"] = "error" if asked else "note"
        yield Finding("weights", state, f"There are none at {checkpoint}.")
        return
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    stored = content.get("model", content)
    expected = parser.get_parsed_content("network_def").state_dict()
    other = [name for name, value in stored.items() if name in expected and value.shape != expected[name].shape]
    lacking = sorted(set(expected) - set(stored))
    if other:
        name = other[0]
        yield Finding(
            "weights",
            "error" if asked else "note",
            f"{checkpoint} does not fit: {name} is {tuple(stored[name].shape)}, the network's is "
            f"{tuple(expected[name].shape)} ({len(other)} tensors differ). Training starts anew.",
        )
    elif lacking and set(stored) - set(expected):
        yield Finding("weights", "error" if asked else "note", f"{checkpoint} is of another network: no {lacking[0]}.")
    else:
        yield Finding("weights", "ok", f"{checkpoint}: {len(stored)} tensors fit")


def _memory(parser: ConfigParser) -> Iterator[Finding]:
    """
    A stated estimate: weights with what an optimiser and a teacher keep of them, activations of one pass over a batch
    (twice: forward and its gradients), and the cache.
    """
    network = parser.get_parsed_content("network_def")
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    frozen = sum(weight.numel() for weight in network.parameters()) - trained
    weights = (trained * _COPIES_OF_A_WEIGHT + frozen) * _BYTES
    shape = _input_shape(parser)
    activations = 2 * _activation_bytes(network, shape) if shape else 0
    text = f"about {(weights + activations) / 1e9:.1f} GB beside PyTorch itself: {weights / 1e9:.2f} GB weights, "
    text += "gradients, optimiser and teacher, "
    text += f"{activations / 1e9:.2f} GB activations of a batch {shape}" if shape else "activations are not counted"
    datalist = parser.get_parsed_content("datalist")
    cases = sum(len(items) for items in datalist.values() if isinstance(items, list))
    yield Finding(
        "memory", "note", f"{text}. {cases} cases are cached on top with cache_rate 1 (0 reads them each time)."
    )


def _input_shape(parser: ConfigParser) -> tuple[int, ...] | None:
    """Of a batch: (B, C, *spatial); None where images have no common size."""
    inputs = parser.get("_meta_")["network_data_format"]["inputs"]["image"]
    size = next((parser.get_parsed_content(name) for name in ("patch_size", "image_size") if name in parser), None)
    if size is None:
        return None
    # two labelled and two unlabelled patches, in one pass
    batch = parser.get_parsed_content("batch_size") if "batch_size" in parser else 4
    return (int(batch), int(inputs["num_channels"]), *map(int, size))


def _activation_bytes(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Bytes of what the leaves of a network give for a batch, counted while one empty image passes."""
    import torch

    total = 0

    def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        tensors = output if isinstance(output, tuple | list) else (output,)
        total += sum(tensor.numel() for tensor in tensors if isinstance(tensor, torch.Tensor)) * _BYTES

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [module.register_forward_hook(count) for module in leaves]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, *shape[1:]))
    for handle in handles:
        handle.remove()
    return total * shape[0]
