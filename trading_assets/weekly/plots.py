"""The report's pictures as PNG bytes; the same bytes for the same rows. Colours by Okabe and Ito."""

import io
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from trading_assets.weekly.model import TOTAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#BBBBBB"
_SIZE, _DPI, _SHOWN = (8.0, 3.2), 110, 52


def plots_of(rows: Sequence[Row], judged: Sequence[Row]) -> dict[str, bytes]:
    """File name to picture; one that would have nothing to show is left out.

    Args:
        rows: One portfolio.
        judged: Totals of judged portfolios, oldest first.
    """
    simulated = [row for row in rows if row["symbol"] != TOTAL and row["p_loss"] is not None]
    banded = [row for row in judged if row["inside_90"] is not None][-_SHOWN:]
    figures: dict[str, Figure] = {}
    if simulated:
        figures["expected.png"] = _expected(simulated)
    if banded:
        figures["bands.png"] = _bands(banded)
    if judged:
        figures["growth.png"] = _growth(judged)
    return {name: _png(figure) for name, figure in figures.items()}


def _expected(rows: Sequence[Row]) -> "Figure":
    """Each simulated symbol's bands; what is wanted is blue."""
    figure, axes = _canvas("Simulated return over the horizon: 90 % and 50 % of paths; blue is wanted")
    for place, row in enumerate(rows):
        colour = _BLUE if row["weight"] > 0 else _GREY
        axes.plot([place, place], [100 * row["low_90"], 100 * row["high_90"]], color=colour, linewidth=1.5)
        axes.plot([place, place], [100 * row["low_50"], 100 * row["high_50"]], color=colour, linewidth=6)
    axes.set_xticks(range(len(rows)), [row["symbol"] for row in rows], rotation=90 if len(rows) > 12 else 0, fontsize=8)
    return figure


def _bands(judged: Sequence[Row]) -> "Figure":
    """What each portfolio expected, and what came."""
    figure, axes = _canvas("Portfolios: 90 % of paths, and what came")
    days = [row["ended"] for row in judged]
    low, high = ([100 * row[name] for row in judged] for name in ("low_90", "high_90"))
    axes.vlines(days, low, high, color=_GREY, linewidth=4)
    axes.scatter(days, [100 * row["outcome"] for row in judged], color=_BLUE, s=12, zorder=3)
    return figure


def _growth(judged: Sequence[Row]) -> "Figure":
    """Both sides compounded over the judged horizons; interest, dividends and costs left out."""
    figure, axes = _canvas("Growth over the judged horizons, %, before costs")
    both = [row for row in judged if row["universe"] is not None]
    for name, colour, style in (("outcome", _BLUE, "-"), ("universe", _ORANGE, "--")):
        logs = accumulate(math.log1p(row[name]) for row in both)
        label = "weekly portfolio" if name == "outcome" else "buy and hold of the universe"
        axes.plot([row["ended"] for row in both], [100 * math.expm1(x) for x in logs], style, color=colour, label=label)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _canvas(title: str) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=9, loc="left")
    axes.axhline(0, color="#595959", linewidth=0.6)
    axes.set_ylabel("%", fontsize=8)
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
