"""The report's pictures as PNG bytes: small, colour-blind safe (Okabe and Ito), and the same bytes for the same record.

Lines differ by their dashes and bars by their side and their hatching, so that a grey print says the same.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from trading_assets.evaluation.summary import drawdowns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_GREY, _GRID, _BAND = "#595959", "#D9D9D9", "#E8E8E8"
_STYLES = ((ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"), (_GREY, (0, (1, 3))))
_WIDE = (8.0, 3.0)
_DPI = 110
_ROOM = timedelta(days=3)
_COLOURS_MAX = 64
_BINS_MAX = 24
_NAMES_MAX = 12


@dataclass(frozen=True)
class Curve:
    """Equity at the close over sessions, USD. The desk's own comes first."""

    label: str
    days: Sequence[date]
    equity: Sequence[Decimal]


@dataclass(frozen=True)
class Band:
    """Where nine in ten lives of the coin stood, USD."""

    days: Sequence[date]
    low: Sequence[Decimal]
    high: Sequence[Decimal]


@dataclass(frozen=True)
class Bar:
    """A name, what it earned, USD, and the trades behind it."""

    name: str
    amount: float
    trades: int


def equity_picture(curves: Sequence[Curve], band: Band | None, starting_cash: Decimal) -> bytes:
    """The desk and every benchmark, with the coin's band behind them."""
    figure, axes = _blank("Equity at the close", "USD")
    axes.axhline(float(starting_cash), color=_GREY, linewidth=0.8, linestyle=":")
    if band is not None:
        low, high = ([float(value) for value in side] for side in (band.low, band.high))
        untyped: Any = axes
        untyped.fill_between(band.days, low, high, color=_BAND, linewidth=0, label="coin flip, 5 to 95 %")
    _draw(axes, curves, [[float(value) for value in curve.equity] for curve in curves])
    _thousands(axes.yaxis)
    _dates(axes, curves)
    return _png(figure)


def drawdown_picture(curves: Sequence[Curve], starting_cash: Decimal) -> bytes:
    """How far below its highest equity each stood."""
    figure, axes = _blank("Drawdown from the highest equity so far", "%")
    _draw(axes, curves, [[-100 * fraction for fraction in drawdowns(curve.equity, starting_cash)] for curve in curves])
    axes.set_ylim(top=0)
    _dates(axes, curves)
    return _png(figure)


def bars_picture(bars: Sequence[Bar], title: str) -> bytes:
    """One bar for each name, in the order given from above; the amount and the number of trades beside it."""
    drawn = list(bars)[:_NAMES_MAX][::-1]
    figure, axes = _blank(title, "", height=1.2 + 0.36 * len(drawn))
    axes.set_xlabel("P&L, USD (number of trades)", fontsize=9, color=_GREY)
    names = [bar.name.replace("_", " ") for bar in drawn]
    made = axes.barh(names, [bar.amount for bar in drawn], height=0.6)
    for rectangle, bar in zip(made, drawn, strict=True):
        rectangle.set(
            facecolor=BLUE if bar.amount >= 0 else ORANGE, hatch="" if bar.amount >= 0 else "///", edgecolor="white"
        )
    axes.bar_label(made, labels=[f"{b.amount:+,.0f} ({b.trades})" for b in drawn], padding=4, color=_GREY, fontsize=9)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.margins(x=0.22)
    axes.grid(visible=False, axis="y")
    _thousands(axes.xaxis)
    return _png(figure)


def slippage_picture(basis_points: Sequence[float]) -> bytes:
    """How the cost of a fill against its decision price is spread; one bar holds what lies beyond either end."""
    values = np.asarray(basis_points, dtype=np.float64)
    low, high = np.percentile(values, [2, 98])
    edges = np.linspace(low, high if high > low else low + 1, min(_BINS_MAX, max(4, values.size)) + 1)
    figure, axes = _blank(f"Slippage against the decision price, {values.size} fills", "fills", height=2.6)
    axes.hist(np.clip(values, edges[0], edges[-1]), bins=list(edges), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    mean = float(values.mean())
    at = min(max(mean, float(edges[0])), float(edges[-1]))
    axes.axvline(at, color=ORANGE, linewidth=1.6, linestyle="--", label=f"mean {mean:+.1f} bp")
    axes.set_xlabel(
        "basis points of the decided value; above zero costs; the outer bars hold the rest", fontsize=9, color=_GREY
    )
    axes.legend(frameon=False, fontsize=9)
    return _png(figure)


def calibration_picture(said: Sequence[float], true: Sequence[bool]) -> bytes:
    """What was said against what came true, in fifths of the scale; the size of a point is its number of theses."""
    figure, axes = _blank(f"Calibration of {len(said)} ended theses", "came true, share", height=3.4, width=4.6)
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":", label="as said")
    bins = np.minimum((np.asarray(said) * 5).astype(int), 4)
    for each in range(5):
        mine = bins == each
        if mine.any():
            at, share, n = float(np.asarray(said)[mine].mean()), float(np.asarray(true)[mine].mean()), int(mine.sum())
            axes.scatter([at], [share], s=30 + 4 * min(n, 60), color=BLUE, zorder=3)
            axes.annotate(f"{n}", (at, share), textcoords="offset points", xytext=(9, -3), fontsize=9, color=_GREY)
    axes.set(xlim=(0, 1), ylim=(-0.05, 1.05))
    axes.set_xlabel("confidence when it was formed", fontsize=9, color=_GREY)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return _png(figure)


def _draw(axes: Any, curves: Sequence[Curve], values: Sequence[Sequence[float]]) -> None:
    """The desk solid and heavy above all others."""
    for n, (curve, heights) in enumerate(zip(curves, values, strict=True)):
        colour, style = (BLUE, "-") if n == 0 else _STYLES[(n - 1) % len(_STYLES)]
        marker = "o" if len(heights) == 1 else None
        axes.plot(
            curve.days,
            heights,
            linestyle=style,
            marker=marker,
            color=colour,
            linewidth=1.9 if n == 0 else 1.2,
            label=curve.label,
            zorder=3 if n == 0 else 2,
        )


def _blank(title: str, unit: str, *, height: float = _WIDE[1], width: float = _WIDE[0]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel(unit, fontsize=9, color=_GREY)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_GREY, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GREY)
    return figure, axes


def _thousands(axis: Any) -> None:
    from matplotlib.ticker import StrMethodFormatter

    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _dates(axes: Any, curves: Sequence[Curve]) -> None:
    """Days below, the legend beneath; a record of a few days is given room, or its ticks would be hours or years."""
    import matplotlib.dates

    untyped: Any = matplotlib.dates
    first, last = min(curve.days[0] for curve in curves), max(curve.days[-1] for curve in curves)
    if last - first < _ROOM:
        axes.set_xlim(first - _ROOM, last + _ROOM)
    short = last - first < timedelta(days=12)
    locator = untyped.DayLocator() if short else untyped.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=6, frameon=False, fontsize=8.5)


def _png(figure: Figure) -> bytes:
    """The picture in a small palette, which is a quarter of the size and looks the same."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(_COLOURS_MAX, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
