"""Pictures of regimes as PNG bytes: small, colour-blind safe (Okabe and Ito), and the same bytes for the same labels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trading_assets.regimes.rules import REGIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "trending_up": "#009E73",
    "trending_down": "#D55E00",
    "high_volatility": "#E69F00",
    "low_volatility": "#56B4E9",
    "ranging": "#BFBFBF",
}
_INK, _GREY = "#1A1A1A", "#595959"
_SHADE = 0.45
_DPI = 110


def regime_background(closes: pl.DataFrame, labels: pl.DataFrame, *, title: str) -> bytes:
    """A price line on bands in the colours of the regimes; sessions without a label stay white.

    Args:
        closes: session and close, in one share count, in order of time; two rows at least.
        labels: session and regime.
        title: What it is, with its unit.
    """
    from matplotlib.patches import Patch
    from matplotlib.ticker import ScalarFormatter

    rows = closes.select("session", "close").join(labels.select("session", "regime"), on="session", how="left")
    rows = rows.sort("session")
    figure, axes = _blank(title, (8.0, 3.6))
    days = rows["session"].to_list()
    for regime, begin, end in _runs(rows["regime"]):
        if regime is not None:
            axes.axvspan(days[begin], days[min(end, len(days) - 1)], color=COLOURS[regime], alpha=_SHADE, linewidth=0)
    untyped: Any = axes
    untyped.plot(days, rows["close"].to_list(), color=_INK, linewidth=1.2)
    axes.set_xlim(days[0], days[-1])
    _dates(axes)
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    handles = [Patch(color=COLOURS[name], alpha=_SHADE, label=name.replace("_", " ")) for name in REGIMES]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return _png(figure)


def transition_map(transitions: pl.DataFrame, *, title: str) -> bytes:
    """How often each regime (row) was followed by each (column): the share in per cent, and the number of times below it.

    Takes the columns from, to, count and probability of history.transitions.
    """
    from matplotlib.colors import PowerNorm

    shares, counts = np.zeros((len(REGIMES), len(REGIMES))), np.zeros((len(REGIMES), len(REGIMES)), dtype=int)
    for row in transitions.iter_rows(named=True):
        place = REGIMES.index(row["from"]), REGIMES.index(row["to"])
        shares[place], counts[place] = row["probability"], row["count"]
    figure, axes = _blank(title, (6.4, 4.6))
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.4, vmin=0, vmax=1), aspect="auto")
    for (row_at, column_at), share in np.ndenumerate(shares):
        text = f"{100 * share:.1f} %\n{counts[row_at, column_at]:,}" if counts[row_at, column_at] else "0"
        colour = "white" if share > 0.3 else _INK
        axes.text(column_at, row_at, text, ha="center", va="center", fontsize=9, color=colour)
    names = [name.replace("_", "\n") for name in REGIMES]
    axes.set_xticks(range(len(names)), labels=names)
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_xlabel("regime of the next session", color=_GREY, fontsize=9)
    axes.set_ylabel("regime of a session", color=_GREY, fontsize=9)
    axes.tick_params(length=0)
    return _png(figure)


def _runs(values: pl.Series) -> list[tuple[str | None, int, int]]:
    """Value, begin and end (exclusive) of each unbroken run."""
    lengths = values.rle().struct.unnest()
    ends = lengths["len"].cast(pl.Int64).cum_sum()
    return list(zip(lengths["value"], ends - lengths["len"].cast(pl.Int64), ends, strict=True))


def _blank(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.tick_params(colors=_GREY, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GREY)
    return figure, axes


def _dates(axes: Axes) -> None:
    import matplotlib.dates

    untyped: Any = matplotlib.dates
    locator = untyped.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
