"""Nested cells of a cloud from one sort: voxels inside cubes inside pillars, each a run of consecutive rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bipointnet_ros.core.blueprint import Grid
from bipointnet_ros.core.reference import Reference

REACH = 2000.0  # m; farther coordinates are clipped, so that the key of any cloud fits 63 bits


@dataclass(frozen=True)
class Cells:
    """The cloud in key order. Voxel v is voxel[v]:voxel[v + 1] of its rows; larger cells are runs of voxels.

    order (N,) int32: sorted row -> row of the cloud. voxel (V + 1,) int32. Starts among the voxels: column (C + 1,)
    int32 of the columns (a cube's edge wide, of any height), scales[k] (S_k + 1,) int32 of the cells of scale k.
    column_xy (C, 2) int32: position of each column, counted from the grid's lowest corner, low (2,) int32 [voxels].
    """

    order: np.ndarray
    voxel: np.ndarray
    column: np.ndarray
    scales: tuple[np.ndarray, ...]
    column_xy: np.ndarray
    low: np.ndarray


def build(xyz: np.ndarray, grid: Grid, backend=None, shift=(0, 0)) -> Cells:
    """Cells of the finite points xyz (N, 3) float32 [m], N >= 1; the backend (core/kernels.py) changes speed only.

    shift: by how many voxels the borders of the cells are moved along x and y; the voxels stay.
    """
    share = np.float32(1.0 / grid.voxel)
    index = [np.floor(np.clip(axis, -REACH, REACH) * share).astype(np.int32) for axis in xyz.T]  # axis by axis is fast
    low = np.array([axis.min() for axis in index])
    low[:2] -= (low[:2] - shift) % grid.cells[-1]  # pillars keep their place in the world
    for axis, least in zip(index, low):
        axis -= least
    key, radix = _key(index, grid.cells)
    order = np.empty(len(key), np.int32)
    (backend or Reference()).argsort(key, order)
    key = key.take(order)
    voxel = starts_of_runs(key)
    key = key[voxel[:-1]]
    cube, column, *pillars = (starts_of_runs(key // np.uint64(r)) for r in radix)
    first = order[voxel[column[:-1]]]
    column_xy = np.stack([axis[first] for axis in index[:2]], 1) // grid.cells[0]
    return Cells(order, voxel, column, (cube, *pillars), column_xy, low[:2])


def _key(index: list[np.ndarray], cells: tuple[int, ...]):
    """(N,) uint64 keys of x, y and z, (N,) int32 each; the radix that divides a key to its cube, column, each pillar.

    A key is a sum of one table entry per axis: coarse pillar, then pillar in pillar, column, cube in column, voxel.
    """
    size = np.array([axis.max() for axis in index]) + 1
    x, y, z = (np.arange(s, dtype=np.uint64) for s in size)
    edge = np.uint64(cells[0])
    cubes = np.uint64(-(-int(size[2]) // cells[0]))
    radix = [edge * edge * edge]
    keys = [x % edge, y % edge * edge, z % edge * edge * edge + z // edge * radix[0]]
    scale = radix[0] * cubes
    radix.append(scale)
    for inner, outer in zip(cells, cells[1:]):
        ratio = np.uint64(outer // inner)
        keys[0] = keys[0] + x // np.uint64(inner) % ratio * scale
        keys[1] = keys[1] + y // np.uint64(inner) % ratio * ratio * scale
        scale = scale * ratio * ratio
        radix.append(scale)
    outer = np.uint64(cells[-1])
    keys[0] = keys[0] + x // outer * scale
    keys[1] = keys[1] + y // outer * scale * np.uint64(-(-int(size[0]) // cells[-1]))
    x, y, z = (table.take(axis) for table, axis in zip(keys, index))
    return x + y + z, radix


def starts_of_runs(keys: np.ndarray) -> np.ndarray:
    """(n,) sorted keys -> (runs + 1,) int32 starts."""
    edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.concatenate([[0], edges, [len(keys)]]).astype(np.int32)
