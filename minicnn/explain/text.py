"""Arrays as text, for a terminal."""

from __future__ import annotations

import numpy as np

WIDEST = 24  # columns of a grid that is printed, and summands
ACROSS = 96  # characters of a line


def grids_as_text(grids: dict[str, np.ndarray]) -> str:
    """Arrays of two axes or more, plane by plane, side by side where there is room."""
    blocks = []
    for name, array in grids.items():
        if array.shape[-1] > WIDEST:
            blocks.append([f"{name}: {array.shape}, too wide to print"])
            continue
        planes = array.reshape(-1, *array.shape[-2:])
        for k, plane in enumerate(planes):
            index = np.unravel_index(k, array.shape[:-2]) if array.ndim > 2 else ()
            where = f"[{', '.join(str(int(i)) for i in index)}]" if index else ""
            blocks.append(_block(name + where, plane))
    return _side_by_side(blocks)


def _block(title: str, plane: np.ndarray) -> list[str]:
    """A plane as lines: its title, and rows of aligned numbers."""
    places = 0 if not (plane % 1).any() else 3
    cells = [[f"{v:.{places}f}" for v in row] for row in plane]
    width = max(len(cell) for row in cells for cell in row)
    return [title, *("  ".join(cell.rjust(width) for cell in row) for row in cells)]


def _side_by_side(blocks: list[list[str]], across: int = ACROSS) -> str:
    """Blocks in rows of at most ``across`` characters."""
    rows: list[list[list[str]]] = [[]]
    used = 0
    for block in blocks:
        width = max(map(len, block)) + 4
        if rows[-1] and used + width > across:
            rows.append([])
            used = 0
        rows[-1].append(block)
        used += width
    return "\n\n".join(_merge(row) for row in rows)


def _merge(row: list[list[str]]) -> str:
    height = max(map(len, row))
    widths = [max(map(len, block)) + 4 for block in row]
    lines = [
        "".join(
            (block[k] if k < len(block) else "").ljust(width)
            for block, width in zip(row, widths, strict=True)
        ).rstrip()
        for k in range(height)
    ]
    return "\n".join(lines)
