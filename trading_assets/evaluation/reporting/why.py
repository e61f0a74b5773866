"""Why: which symbols moved the book, whose trades they were, what trading and thinking cost."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from trading_assets.evaluation.attribution import shares_by
from trading_assets.evaluation.model import (
    ATTRIBUTION,
    DECISION_EVIDENCE,
    EVENT,
    METRIC_INTERVALS,
    SLIPPAGE,
    UNEXPLAINED,
    Dimension,
)
from trading_assets.evaluation.reporting.document import Block, Bullets, Grid, Line, Words
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.words import NOISE, count, is_noise, spoken, usd
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS

TOLD: tuple[Dimension, ...] = ("strategy", "persona", "thesis", "regime", "time_of_day")
SHOWN = 3
MODELS_USD_PER_DECISION_MAX = 0.05
_CENT = Decimal("0.01")
_AFTER_CLOSE = "AFTER_CLOSE"
_ID = re.compile(r"\b[0-9a-f]{16}$")
_ID_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Mover:
    """A name with what it earned or lost, USD; `trades` is the number behind it, None for a symbol's change of value."""

    name: str
    pnl_usd: Decimal
    trades: int | None = None


@dataclass(frozen=True, slots=True)
class Slipped:
    """What fills cost against the decision price, USD; positive costs. `bp` is over all measured fills, None without one."""

    fills: int
    unmeasured: int
    slippage_usd: Decimal
    bp: float | None
    unfilled_usd: Decimal
    to_date_bp: float | None
    to_date_low: float | None
    to_date_high: float | None
    to_date_fills: int


@dataclass(frozen=True, slots=True)
class Thought:
    """What models cost in the period; per decision over the slots decided, None without one."""

    decisions: int
    calls: int
    cost_usd: float
    per_decision_usd: float | None


@dataclass(frozen=True, slots=True)
class Why:
    """The period's P&L taken apart. `beyond_usd` is what symbols and dividends leave of it (interest, fees of nobody)."""

    symbols: tuple[Mover, ...]
    dividends_usd: Decimal
    beyond_usd: Decimal
    trades: int
    dimensions: Mapping[str, tuple[Mover, ...]]
    measured: bool
    slipped: Slipped
    thought: Thought


def why(record: Record) -> Why:
    """Reads positions, fills, and what was measured after the close."""
    symbols, account = _symbols(record), record.within(ACCOUNT)
    dividends = sum(account["dividends"].to_list(), Decimal(0))
    shares = record.within(ATTRIBUTION)
    return Why(
        symbols=symbols,
        dividends_usd=dividends,
        beyond_usd=_beyond(record, symbols, dividends),
        trades=shares["trade_id"].n_unique(),
        dimensions={name: movers(shares, name) for name in TOLD},
        measured=record.at_last(DECISION_EVIDENCE).height > 0,
        slipped=_slipped(record),
        thought=_thought(record),
    )


def movers(shares: pl.DataFrame, dimension: Dimension) -> tuple[Mover, ...]:
    """The names of a dimension, the largest gain first; what nobody's share explains is left out."""
    found = shares_by(shares, dimension)
    return tuple(Mover(name, pnl, trades) for name, trades, pnl in found if name != UNEXPLAINED)


def tell_why(found: Why, record: Record) -> Iterator[Block]:
    """The part in words and one table."""
    yield Words(_moved(found))
    if found.trades:
        yield _dimensions_grid(found)
        yield Words(_luck(found), quiet=True)
    elif found.measured:
        yield Words(
            f"No trade closed in the {record.period.kind}, so no strategy, persona or thesis earned anything yet."
        )
    yield Bullets(tuple(_costs(found, record)))


def _symbols(record: Record) -> tuple[Mover, ...]:
    """Change of value plus the cash of its fills, by symbol, the largest gain first."""
    before = record.before[0]
    moved: dict[str, Decimal] = {}
    positions = record.read(POSITIONS)
    for sign, day in ((1, record.period.last), (-1, before)):
        held = positions.filter(pl.col("session") == day) if day else positions.clear()
        for symbol, value in held.select("symbol", "market_value").iter_rows():
            moved[symbol] = moved.get(symbol, Decimal(0)) + sign * value
    for fill in record.within(FILLS).iter_rows(named=True):
        gross = fill["price"] * fill["quantity"] * (-1 if fill["side"] == "buy" else 1)
        moved[fill["symbol"]] = moved.get(fill["symbol"], Decimal(0)) + gross - fill["fee"]
    ordered = sorted(moved.items(), key=lambda each: (-each[1], each[0]))
    return tuple(Mover(symbol, pnl) for symbol, pnl in ordered)


def _beyond(record: Record, symbols: Sequence[Mover], dividends: Decimal) -> Decimal:
    at_last = record.at_last(ACCOUNT)
    if not at_last.height:
        return Decimal(0)
    whole: Decimal = at_last[0, "equity"] - record.before[1]
    return whole - dividends - sum((each.pnl_usd for each in symbols), Decimal(0))


def _slipped(record: Record) -> Slipped:
    rows = record.within(SLIPPAGE)
    filled = rows.filter(pl.col("fill_id") != "")
    known = filled.filter(pl.col("shortfall").is_not_null() & pl.col("reference").is_not_null())
    paid = sum(known["shortfall"].to_list(), Decimal(0))
    pairs = known.select("reference", "quantity").iter_rows()
    decided = sum((reference * quantity for reference, quantity in pairs), Decimal(0))
    missed = rows.filter(pl.col("fill_id") == "")["shortfall"].drop_nulls().to_list()
    todate = _interval(record, "slippage_bp_mean")
    return Slipped(
        fills=known.height,
        unmeasured=filled.height - known.height,
        slippage_usd=paid,
        bp=round(float(paid / decided) * 10_000, 6) if decided else None,
        unfilled_usd=sum(missed, Decimal(0)),
        to_date_bp=todate.get("estimate"),
        to_date_low=todate.get("low"),
        to_date_high=todate.get("high"),
        to_date_fills=int(todate.get("observations") or 0),
    )


def _interval(record: Record, measure: str) -> Mapping[str, float]:
    """The measure over everything: the one row, or that of `all` where evidence differs."""
    rows = record.at_last(METRIC_INTERVALS).filter(pl.col("measure") == measure)
    if rows.height > 1:
        rows = rows.filter(pl.col("evidence") == "all")
    found: Mapping[str, float] = rows.row(0, named=True) if rows.height else {}
    return found


def _thought(record: Record) -> Thought:
    rows = record.within(DECISION_EVIDENCE)
    decisions = rows.filter(pl.col("state") != _AFTER_CLOSE).height
    cost = float(sum(rows["model_cost"].to_list()))
    return Thought(decisions, int(rows["calls"].sum()), cost, cost / decisions if decisions else None)


def _moved(found: Why) -> str:
    gains = [each for each in found.symbols if each.pnl_usd > 0][:SHOWN]
    losses = [each for each in found.symbols[::-1] if each.pnl_usd < 0][:SHOWN]
    if not gains and not losses:
        return "Nothing that the book held or traded moved it."
    parts = [_named("Gained", gains), _named("Lost", losses)]
    if found.dividends_usd:
        parts.append(f"Dividends {usd(found.dividends_usd)}.")
    if abs(found.beyond_usd) >= _CENT:
        parts.append(f"{usd(found.beyond_usd)} belongs to no symbol (interest, or fees that no fill carries).")
    return " ".join(part for part in parts if part)


def _named(verb: str, some: Sequence[Mover]) -> str:
    """By symbol, after the fees of its fills, USD."""
    return (
        f"{verb} by symbol, USD: " + ", ".join(f"{each.name} {usd(each.pnl_usd)}" for each in some) + "."
        if some
        else ""
    )


def _dimensions_grid(found: Why) -> Grid:
    rows = []
    for name, every in found.dimensions.items():
        gains, losses = [m for m in every if m.pnl_usd > 0], [m for m in every[::-1] if m.pnl_usd < 0]
        if every:
            rows.append((spoken(name), _three(name, gains), _three(name, losses)))
    columns = ("Closed trades by", "Earned most, USD (trades)", "Lost most, USD (trades)")
    return Grid(columns, tuple(rows), text=(0, 1, 2))


def _three(dimension: str, some: Sequence[Mover]) -> str:
    words = (f"{_shown(dimension, each.name)} {usd(each.pnl_usd)} ({each.trades})" for each in some[:SHOWN])
    return ", ".join(words) or "nobody"


def _shown(dimension: str, name: str) -> str:
    if dimension == "time_of_day":
        return "between slots" if name == EVENT else name
    return _ID.sub(lambda found: found[0][:_ID_SHOWN], spoken(name)) if dimension == "thesis" else spoken(name)


def _luck(found: Why) -> str:
    return f"n = {count(found.trades, 'closed trade')}: what happened, not what works; intervals to date stand behind."


def _costs(found: Why, record: Record) -> Iterator[Line]:
    if not found.measured:
        text = f"evidence, attribution and slippage of {record.period.last} were not measured: the metrics step has no rows"
        yield Line(text, strong="not measured", command=f"desk run postclose --session {record.period.last}")
        return
    yield Line(_slippage_words(found.slipped), strong="slippage")
    yield Line(_models_words(found.thought), strong="models")


def _slippage_words(slipped: Slipped) -> str:
    todate = ""
    if slipped.to_date_bp is not None:
        interval, noise = "", ""
        if slipped.to_date_low is not None and slipped.to_date_high is not None:
            interval = f" (95 %: {slipped.to_date_low:+.1f} to {slipped.to_date_high:+.1f}"
            noise = f", {NOISE}" if is_noise(slipped.to_date_low, slipped.to_date_high) else ""
            interval += f"{noise})"
        todate = (
            f" To date a fill costs {slipped.to_date_bp:+.1f} bp on average{interval}, n = {slipped.to_date_fills}."
        )
    if slipped.bp is None:
        now = "no fill with a known decision price."
    else:
        now = f"{slipped.bp:+.1f} bp of the decided value, {usd(slipped.slippage_usd)} USD over {count(slipped.fills, 'fill')}."
    unmeasured = f" {count(slipped.unmeasured, 'fill')} had no decision price." if slipped.unmeasured else ""
    missed = (
        f" What did not fill moved by {usd(slipped.unfilled_usd)} USD until the close." if slipped.unfilled_usd else ""
    )
    return now + unmeasured + missed + todate


def _models_words(thought: Thought) -> str:
    if thought.per_decision_usd is None:
        return "nothing was decided."
    if not thought.calls:
        return f"none was paid for {count(thought.decisions, 'decision')}."
    over = thought.per_decision_usd > MODELS_USD_PER_DECISION_MAX
    verdict = "above" if over else "within"
    return (
        f"{thought.cost_usd:.4f} USD for {count(thought.calls, 'call')}, {thought.per_decision_usd:.4f} USD a decision "
        f"(n = {thought.decisions}), {verdict} the {MODELS_USD_PER_DECISION_MAX} USD that one may cost."
    )
