"""Keeps on disk what the frozen front of an encoder gives, so that it runs once per image and not once per epoch."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import secrets
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

__all__ = ["PrefixCache"]

_SUFFIX, _PARTIAL = ".features", ".partial"
_DIGEST_BYTES = 32


class PrefixCache:
    """
    Gives ``prefix(preprocess(images))``, from disk where it was computed before.

    An entry belongs to one image's content, the preprocessing, the prefix's weights and the precision it ran in; a
    change of any of them is another entry. Features come back with the values and dtype that were computed. Each
    entry is a file with its own checksum, written whole or not at all, so that any number of processes on any number
    of machines can share the folder; a damaged entry is computed and written again. When the folder is full, entries
    used longest ago go first; entries that went in between are computed again.

    Of the libraries, MONAI's PersistentDataset has neither a bound nor the weights in its key, joblib's bound has to
    be called for, and diskcache, unmaintained since 2023, unpickles what it finds (CVE-2025-69872).

    Random augmentation makes every image a new one: the cache pays off where images repeat.

    Args:
        folder: where entries lie; made when missing. Other files in it are left alone.
        prefix: as :func:`split_encoder` gives it. Its weights are hashed once, and again when they were changed.
        preprocess: from images (B, 3, H, W) to what the prefix takes, image by image (each alone decides its result);
            none by default.
        transform: names ``preprocess`` and its settings, such as :attr:`PromptableSegmenter.preprocessing`.
        max_bytes: bound on the folder. Several processes that write at the same moment may pass it by one entry each.
            LiteMedSAM with 1 or 2 trainable blocks takes 5 MB an image, SAM ViT-B 13 MB.

    Attributes:
        hits, misses: images so far that were found, and that were computed.

    Raises:
        ValueError: when ``preprocess`` comes without ``transform``, or ``max_bytes`` is not positive.

    Example::

        prefix, suffix = split_encoder(segmenter.sam.image_encoder, trainable_blocks=2)
        cache = PrefixCache("cache", prefix, segmenter.preprocess, segmenter.preprocessing)
        embedding = suffix(cache(images))
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        prefix: nn.Module,
        preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None,
        transform: str = "",
        max_bytes: int = 20 * 2**30,
    ) -> None:
        if preprocess is not None and not transform:
            raise ValueError("transform must name what preprocess does, since it is part of the key; got ''.")
        if max_bytes <= 0:
            raise ValueError(f"max_bytes must be positive, got {max_bytes}.")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prefix = prefix
        self.preprocess = preprocess
        self.transform = transform
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self._weights: tuple[tuple[int, ...], str] | None = None
        self._warned: set[str] = set()

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """
        Args:
            images: (B, 3, H, W), best on the CPU: their bytes are hashed. What is missing goes to the prefix's device.

        Returns:
            the prefix's output (B, ...) for them, on the prefix's device, without gradient.
        """
        parameters = next(self.prefix.parameters(), None)
        if parameters is None:  # nothing is frozen: the prefix passes the images on
            return self._compute(images)
        device = parameters.device
        keys = self._keys(images.detach().as_subclass(torch.Tensor).cpu(), device)
        found = [self._read(key) for key in keys]
        missing = [i for i, features in enumerate(found) if features is None]
        self.hits += len(keys) - len(missing)
        self.misses += len(missing)
        if missing:
            everything = len(missing) == len(keys)
            computed = self._compute((images if everything else images[missing]).to(device))
            for i, features in zip(missing, computed, strict=True):
                found[i] = features
                self._write(keys[i], features)
            if everything:
                return computed
        return torch.stack([features.to(device, non_blocking=True) for features in found if features is not None])

    @torch.no_grad()
    def _compute(self, images: torch.Tensor) -> torch.Tensor:
        return self.prefix(images if self.preprocess is None else self.preprocess(images)).as_subclass(torch.Tensor)

    def _keys(self, images: torch.Tensor, device: torch.device) -> list[str]:
        autocast = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
        context = f"{self._fingerprint()} {self.transform} {device.type} {autocast} "
        return [_digest(context.encode(), _tensor_bytes(image)).hex() for image in images]

    def _fingerprint(self) -> str:
        """Hash of the prefix's modules and weights; torch counts the changes of a tensor in place."""
        weights = self.prefix.state_dict(keep_vars=True)
        versions = tuple(value._version for value in weights.values())
        if self._weights is None or self._weights[0] != versions:
            parts = [repr(self.prefix).encode()]
            for name, value in weights.items():
                parts += [name.encode(), _tensor_bytes(value.detach().cpu())]
            self._weights = (versions, _digest(*parts).hex())
        return self._weights[1]

    def _read(self, key: str) -> torch.Tensor | None:
        file = self._file(key)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        try:
            if digest != _digest(key.encode(), payload):
                raise ValueError("checksum")
            features = torch.load(io.BytesIO(payload), weights_only=True)
        except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError):
            self._warn("damaged", f"{file} is damaged and is computed again.")
            return None
        with suppress(OSError):  # another process has just removed it, or the folder can only be read
            os.utime(file)
        return features

    def _write(self, key: str, features: torch.Tensor) -> None:
        stream = io.BytesIO()
        torch.save(features.detach().cpu().clone(), stream)  # a clone: a view would take its whole batch along
        payload = stream.getvalue()
        content = _digest(key.encode(), payload) + payload
        if len(content) > self.max_bytes:
            self._warn("small", f"max_bytes {self.max_bytes} holds no entry of {len(content)} bytes: nothing is kept.")
            return
        partial = self.folder / f".{key}.{secrets.token_hex(4)}{_PARTIAL}"
        try:
            self._make_room(len(content))
            partial.write_bytes(content)
            os.replace(partial, self._file(key))
        except FileNotFoundError:
            pass  # another process made room while this entry was being written
        except OSError as error:  # a full disk is no reason to lose a training run
            self._warn("unwritable", f"{self.folder} cannot be written, so that nothing more is kept: {error}")
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago, files left by a killed process too, until ``size`` more bytes fit."""
        entries = []
        with os.scandir(self.folder) as listing:
            for entry in listing:
                if entry.name.endswith((_SUFFIX, _PARTIAL)):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        entries.append((status.st_mtime_ns, status.st_size, entry.path))
        surplus = sum(taken for _, taken, _ in entries) + size - self.max_bytes
        for _, taken, path in sorted(entries):
            if surplus <= 0:
                break
            Path(path).unlink(missing_ok=True)
            surplus -= taken

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, stacklevel=3)


def _tensor_bytes(tensor: torch.Tensor) -> bytes:
    """Type, shape and content of a tensor on the CPU."""
    content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{tensor.dtype} {tuple(tensor.shape)} ".encode() + content


def _digest(*parts: bytes) -> bytes:
    """Each part's length goes in too, so that no two lists of parts look alike."""
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()
