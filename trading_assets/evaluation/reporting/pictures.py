"""Which picture stands where: each from the record, and none where there would be nothing to see."""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from trading_assets.evaluation.attribution import shares_by
from trading_assets.evaluation.attribution_plot import draw_attribution
from trading_assets.evaluation.benchmark_model import BENCHMARKS, COIN_FLIP, LABELS
from trading_assets.evaluation.model import ATTRIBUTION, SLIPPAGE
from trading_assets.evaluation.reporting.document import Picture
from trading_assets.evaluation.reporting.plots import (
    Band,
    Bar,
    Curve,
    bars_picture,
    calibration_picture,
    drawdown_picture,
    equity_picture,
    slippage_picture,
)
from trading_assets.evaluation.reporting.record import Record
from trading_assets.execution.model import ACCOUNT
from trading_assets.theses.model import THESIS_SCORES

_WHOLE = "thesis"
Draw = Callable[[Record], bytes | None]


def pictures_of(key: str, record: Record) -> Iterator[Picture]:
    """The pictures of a part, in order."""
    for name, title, draw in _OF.get(key, ()):
        content = draw(record)
        if content is not None:
            yield Picture(name, title, content)


def _curves(record: Record) -> list[Curve]:
    """The desk, then each benchmark that is not the desk itself."""
    account = record.read(ACCOUNT).sort("session")
    if not account.height:
        return []
    curves = [Curve("desk", account["session"].to_list(), account["equity"].to_list())]
    rows = record.read(BENCHMARKS).sort("session")
    for name, label in LABELS.items():
        mine = rows.filter(pl.col("name") == name)
        if mine.height and mine["equity"].to_list() != curves[0].equity:
            curves.append(Curve(label, mine["session"].to_list(), mine["equity"].to_list()))
    return curves


def _equity(record: Record) -> bytes | None:
    curves = _curves(record)
    coin = record.read(BENCHMARKS).filter((pl.col("name") == COIN_FLIP) & pl.col("low").is_not_null()).sort("session")
    sides = (coin["session"].to_list(), coin["low"].to_list(), coin["high"].to_list())
    return equity_picture(curves, Band(*sides) if coin.height else None, record.starting_cash) if curves else None


def _drawdown(record: Record) -> bytes | None:
    curves = _curves(record)
    return drawdown_picture(curves, record.starting_cash) if curves else None


def _by(column: str, title: str) -> Draw:
    def draw(record: Record) -> bytes | None:
        sums = record.trades.group_by(column).agg(pl.col("pnl").sum(), pl.len()).sort(["pnl", column], descending=True)
        bars = [Bar(str(name), float(pnl), trades) for name, pnl, trades in sums.iter_rows()]
        return bars_picture(bars, title) if bars else None

    return draw


def _attribution(record: Record) -> bytes | None:
    rows = record.read(ATTRIBUTION)
    return draw_attribution(rows) if rows.height else None


def _time_of_day(record: Record) -> bytes | None:
    found = shares_by(record.read(ATTRIBUTION), "time_of_day")
    bars = [Bar(name, float(pnl), trades) for name, trades, pnl in sorted(found)]
    return bars_picture(bars, "P&L of closed trades by the slot that opened them, New York") if bars else None


def _slippage(record: Record) -> bytes | None:
    rows = record.read(SLIPPAGE).filter(pl.col("fill_id") != "")
    known: Sequence[float] = rows["shortfall_bp"].drop_nulls().to_list()
    return slippage_picture(known) if len(known) > 1 else None


def _calibration(record: Record) -> bytes | None:
    rows = record.read(THESIS_SCORES).filter(pl.col("source") == _WHOLE)
    said, true = rows["probability"].to_list(), rows["came_true"].to_list()
    return calibration_picture(said, true) if said else None


def _theses(record: Record) -> bytes | None:
    from trading_assets.theses.picture import draw

    mind = record.told.mind()
    return draw(mind) if mind is not None and mind.theses else None


_OF: dict[str, tuple[tuple[str, str, Draw], ...]] = {
    "happened": (("equity.png", "Equity against every benchmark", _equity),),
    "benchmarks": (("drawdown.png", "Drawdown", _drawdown),),
    "strategies": (("pnl_by_strategy.png", "P&L by strategy", _by("strategy", "P&L by strategy")),),
    "regimes": (("pnl_by_regime.png", "P&L by regime", _by("regime", "P&L by regime at entry")),),
    "attribution": (
        ("attribution.png", "Whose trades they were", _attribution),
        ("time_of_day.png", "P&L by time of day", _time_of_day),
    ),
    "slippage": (("slippage.png", "Slippage of fills", _slippage),),
    "thinking": (
        ("calibration.png", "Calibration of theses", _calibration),
        ("theses.png", "Theses that live, and how they relate", _theses),
    ),
}
