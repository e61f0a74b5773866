"""The report's pictures as PNG bytes: small, colour-blind safe (Okabe and Ito), and the same bytes for the same record."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from trading_assets.evaluation.summary import TradeRecord, drawdowns

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY, _GRID = "#0072B2", "#D55E00", "#595959", "#D9D9D9"
_WIDE = (8.0, 3.2)
_DPI = 110
_ROOM = timedelta(days=3)


@dataclass(frozen=True)
class _Line:
    label: str
    colour: str
    style: str
    days: Sequence[date]
    equity: Sequence[Decimal]

    @classmethod
    def of(cls, frame: pl.DataFrame, label: str, colour: str, style: str) -> _Line:
        rows = frame.sort("session")
        return cls(label, colour, style, rows["session"].to_list(), rows["equity"].to_list())

    def draw(self, axes: Any, values: Sequence[float]) -> None:
        marker = "o" if len(values) == 1 else None
        axes.plot(self.days, values, self.style, marker=marker, color=self.colour, linewidth=1.4, label=self.label)


def plots_of(
    account: pl.DataFrame,
    benchmark: pl.DataFrame | None,
    *,
    starting_cash: Decimal,
    strategies: Mapping[str, TradeRecord],
    regimes: Mapping[str, TradeRecord],
) -> dict[str, bytes]:
    """File name to PNG bytes. A picture that would have nothing to show is left out."""
    figures: dict[str, Figure] = {}
    if account.height:
        lines = [_Line.of(account, "desk", _BLUE, "-")]
        if benchmark is not None and benchmark.height:
            lines.append(_Line.of(benchmark, "buy and hold", _ORANGE, "--"))
        figures["equity.png"] = _equity(lines, starting_cash)
        figures["drawdown.png"] = _drawdown(lines, starting_cash)
    if strategies:
        figures["pnl_by_strategy.png"] = _bars(strategies, "P&L by strategy, USD (number of trades)")
    if regimes:
        figures["pnl_by_regime.png"] = _bars(regimes, "P&L by regime at entry, USD (number of trades)")
    return {name: _png(figure) for name, figure in figures.items()}


def _equity(lines: Sequence[_Line], starting_cash: Decimal) -> Figure:
    figure, axes = _blank("Equity at the close, USD")
    axes.axhline(float(starting_cash), color=_GREY, linewidth=0.8, linestyle=":")
    for line in lines:
        line.draw(axes, [float(value) for value in line.equity])
    _thousands(axes.yaxis)
    _dates(axes, lines)
    return figure


def _drawdown(lines: Sequence[_Line], starting_cash: Decimal) -> Figure:
    figure, axes = _blank("Drawdown from the highest equity so far, %")
    for line in lines:
        line.draw(axes, [-100 * fraction for fraction in drawdowns(line.equity, starting_cash)])
    axes.set_ylim(top=0)
    _dates(axes, lines)
    return figure


def _bars(records: Mapping[str, TradeRecord], title: str) -> Figure:
    """One bar per group, gains and losses apart by colour and by side; the amount and the number of trades beside it."""
    names = list(records)[::-1]
    amounts = [float(records[name].pnl_usd) for name in names]
    figure, axes = _blank(title, height=1.1 + 0.45 * len(names))
    colours = [_BLUE if amount >= 0 else _ORANGE for amount in amounts]
    bars = axes.barh([name.replace("_", " ") for name in names], amounts, color=colours, height=0.6)
    labels = [f"{amount:+,.0f} ({records[name].trades})" for name, amount in zip(names, amounts, strict=True)]
    axes.bar_label(bars, labels=labels, padding=4, color=_GREY, fontsize=9)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.margins(x=0.22)
    axes.grid(visible=False, axis="y")
    _thousands(axes.xaxis)
    return figure


def _blank(title: str, *, height: float = _WIDE[1]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE[0], height), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
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


def _dates(axes: Any, lines: Sequence[_Line]) -> None:
    """Days below, the legend beside the title; a record of a few days is given room, or its ticks would be hours or years."""
    import matplotlib.dates

    untyped: Any = matplotlib.dates
    locator = untyped.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    first, last = min(line.days[0] for line in lines), max(line.days[-1] for line in lines)
    if last - first < _ROOM:
        axes.set_xlim(first - _ROOM, last + _ROOM)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=len(lines), frameon=False, fontsize=9)


def _png(figure: Figure) -> bytes:
    """The picture in a palette of 64 colours, which is a quarter of the size and looks the same."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(64, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
