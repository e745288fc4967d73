"""All six figures of a sample on one small picture, for the README."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from nbnmbt.provenance import STAMP_KEY, read_stamp

__all__ = ["overview"]


def overview(
    figures: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    columns: int = 3,
    width: int = 1500,
) -> None:
    """Set PNG figures beside each other, row by row, each at the width of its column.

    Parameters
    ----------
    figures : sequence of path-like
        PNG files, in reading order.
    out : path-like
        The PNG to write; it carries the notice of the first figure's stamp.
    columns : int
        Figures in a row.
    width : int
        Width of the picture in pixels.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    gap = 16
    each = (width - gap * (columns + 1)) // columns
    tiles = []
    for path in figures:
        with Image.open(path) as picture:
            height = round(picture.height * each / picture.width)
            tiles.append(picture.convert("RGB").resize((each, height), Image.Resampling.LANCZOS))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + gap * (len(rows) + 1)), "white")
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (gap + column * (each + gap), top))
        top += height + gap
    words = PngInfo()
    words.add_text("Description", str(read_stamp(figures[0]).get("notice", "")))
    words.add_text("Source", f"figures of one sample; each carries its {STAMP_KEY}")
    small = sheet.quantize(colors=256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    small.save(out, format="PNG", optimize=True, pnginfo=words)


def main(argv: list[str] | None = None) -> int:
    """Write the picture of the README."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.report.overview", description="Six figures on one picture."
    )
    parser.add_argument("--figures", required=True, type=Path, help="folder with fig2.png ...")
    parser.add_argument("--out", required=True, help="for instance docs/figures.png")
    arguments = parser.parse_args(argv)
    overview([arguments.figures / f"fig{n}.png" for n in range(2, 8)], arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
