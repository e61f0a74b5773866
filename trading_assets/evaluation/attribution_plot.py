"""Who earned and who lost, as one small picture: colour-blind safe, the same bytes for the same rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trading_assets.evaluation.attribution import shares_by
from trading_assets.evaluation.model import Dimension

if TYPE_CHECKING:
    import polars as pl

DRAWN: tuple[Dimension, ...] = ("strategy", "regime", "persona", "analyst")
NAMES_MAX = 8
_GAIN, _LOSS, _GREY = "#0072B2", "#D55E00", "#595959"
_DPI = 100
_COLOURS_MAX = 32


def draw_attribution(rows: pl.DataFrame) -> bytes:
    """Rows of ATTRIBUTION as PNG bytes, one panel for each drawn dimension; rows without a trade give a page that says so."""
    from matplotlib.figure import Figure

    panels = {dimension: shares_by(rows, dimension) for dimension in DRAWN}
    figure = Figure(figsize=(8.0, 4.6), dpi=_DPI, layout="constrained")
    figure.suptitle("P&L of closed trades by who and what it belongs to, USD (trades)", x=0.01, ha="left", fontsize=11)
    for place, (dimension, shares) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        _panel(place, dimension, _largest(shares))
    return _png(figure)


def _largest(shares: Sequence[tuple[str, int, Any]]) -> Mapping[str, tuple[int, float]]:
    """The names that moved most, the largest gain on top."""
    moved = sorted(shares, key=lambda each: (-abs(each[2]), each[0]))[:NAMES_MAX]
    return {name: (trades, float(pnl)) for name, trades, pnl in sorted(moved, key=lambda each: (each[2], each[0]))}


def _panel(axes: Any, dimension: str, bars: Mapping[str, tuple[int, float]]) -> None:
    axes.set_title(dimension.replace("_", " "), loc="left", fontsize=9, color=_GREY)
    axes.tick_params(colors=_GREY, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if not bars:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no closed trade", ha="center", va="center", color=_GREY, transform=axes.transAxes)
        return
    amounts = [pnl for _, pnl in bars.values()]
    names = [name.replace("_", " ") for name in bars]
    drawn = axes.barh(names, amounts, color=[_GAIN if pnl >= 0 else _LOSS for pnl in amounts], height=0.6)
    axes.bar_label(
        drawn, [f"{pnl:+,.0f} ({trades})" for trades, pnl in bars.values()], padding=3, fontsize=7, color=_GREY
    )
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.margins(x=0.35)


def _png(figure: Any) -> bytes:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(_COLOURS_MAX, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
