"""Rows of several classes as tiles of one class each, so that one batched product serves all classes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from monai_proto.networks.tensor_checks import class_indices

__all__ = ["ClassTiles"]

_TILE_ROWS = 256
# tiles that a CPU thread works on at a time, so that they and what is made of them stay in its caches; an accelerator
# takes all tiles at once
_TILES_PER_THREAD = 32


class ClassTiles:
    """
    Which row of (N, D) lies where when the rows are grouped by class and every class starts at a tile of its own.

    On an accelerator the number of tiles depends on N and C only, so that nothing waits for the class counts to reach
    the host; surplus tiles are empty. Rows are gathered block by block, and no copy of all of them is made.

    Args:
        labels: class of each row (N,), integers, N at least 1; rows with a label outside of 0 .. C-1 are in no tile.
        num_classes: C.

    Attributes:
        tile_class: class of each tile (T,).
        first_tile: first tile of each class (C,); any tile for a class without rows.
        row_of_slot: row in each place of each tile (T, R); any row where a place is empty.
        slot_of_row: place of each row (N,) in the T R places; 0 for rows in no tile.
        in_use: whether a place holds a row (T, R).
        in_class: whether a row is in a tile (N,).
        counts: rows of each class (C,).
    """

    def __init__(self, labels: torch.Tensor, num_classes: int) -> None:
        num_rows = labels.shape[0]
        safe_labels, self.in_class = class_indices(labels, num_classes)
        groups = torch.where(self.in_class, safe_labels, num_classes)  # rows of no class come last
        counts = groups.new_zeros(num_classes + 1).index_add_(0, groups, torch.ones_like(groups))
        first_row = (counts.cumsum(0) - counts)[:num_classes]
        self.counts = counts[:num_classes]
        tiles_of_class = (self.counts + _TILE_ROWS - 1) // _TILE_ROWS
        end_tile = tiles_of_class.cumsum(0)
        first_tile = end_tile - tiles_of_class
        if _on_cpu(labels):
            num_tiles = max(int(end_tile[-1]), 1)
        else:
            num_tiles = (num_rows + _TILE_ROWS - 1) // _TILE_ROWS + num_classes
        self.first_tile = first_tile.clamp(max=num_tiles - 1)
        tiles = torch.arange(num_tiles, device=labels.device)
        self.tile_class = torch.searchsorted(end_tile, tiles, right=True).clamp_(max=num_classes - 1)

        order = groups.argsort(stable=True)
        tile_start = (tiles - first_tile[self.tile_class]) * _TILE_ROWS  # first row of the tile within its class
        position = tile_start.unsqueeze(1) + torch.arange(_TILE_ROWS, device=labels.device)
        self.in_use = position < self.counts[self.tile_class].unsqueeze(1)
        place = (first_row[self.tile_class].unsqueeze(1) + position).clamp_(max=num_rows - 1)
        self.row_of_slot = order.index_select(0, place.reshape(-1)).view_as(place)

        rank = torch.empty_like(order)
        rank.scatter_(0, order, torch.arange(num_rows, device=labels.device))
        slots = rank + (first_tile * _TILE_ROWS - first_row).index_select(0, safe_labels)
        self.slot_of_row = torch.where(self.in_class, slots, 0)

    def blocks(self) -> Iterator[slice]:
        """Slices of the tiles that are worked on together."""
        num_tiles = self.tile_class.shape[0]
        size = _TILES_PER_THREAD * torch.get_num_threads() if _on_cpu(self.tile_class) else num_tiles
        for start in range(0, num_tiles, size):
            yield slice(start, start + size)

    def gather(
        self, features: torch.Tensor, block: slice | torch.Tensor, centres: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Rows of the tiles of a block, less the centre of their class.

        Args:
            features: (N, D) of any floating type.
            block: from :meth:`blocks`, or indices of tiles.
            centres: (C, D), float32; nothing is taken off without.

        Returns:
            (tiles of the block, R, D), float32; empty places hold some row.
        """
        # index_select copies whole rows and is several times faster than indexing with brackets
        rows = features.index_select(0, self.row_of_slot[block].reshape(-1)).float().unflatten(0, (-1, _TILE_ROWS))
        return rows if centres is None else rows.sub_(self.of_class(centres, block).unsqueeze(1))

    def of_class(self, values: torch.Tensor, block: slice | torch.Tensor) -> torch.Tensor:
        """What each tile of a block takes of values (C, ...) that its class has: (tiles of the block, ...)."""
        return values.index_select(0, self.tile_class[block])


def _on_cpu(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"
