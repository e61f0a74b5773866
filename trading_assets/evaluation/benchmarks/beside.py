"""The book beside each benchmark: the same measures, the difference of session returns with its interval, the coin's lives.

A difference is stated a year: 252 times the mean difference of session returns, not compounded. Its interval comes from blocks of
neighbouring sessions (`evaluation.statistics`); one that holds nothing gained is noise, and is called so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from statistics import fmean, median
from typing import Any

import polars as pl

from trading_assets.core.errors import PermanentFailure
from trading_assets.evaluation.benchmark_model import BENCHMARK_NAMES, COIN_FLIP, LABELS
from trading_assets.evaluation.benchmarks.rows import State
from trading_assets.evaluation.statistics import Interval, block_bootstrap_difference
from trading_assets.evaluation.summary import SESSIONS_PER_YEAR, Summary, summarise, summarise_equity

LEVEL = 0.95
SEED = 7
TURNOVER_MIN = 0.8
_ABSENT = "it was not made up to this session; the benchmarks asset makes it"


@dataclass(frozen=True, slots=True)
class Beside:
    """One benchmark beside the book. Everything but its name is None where there is no number; `sentence` says how, or why not.

    Args:
        measures: Its own; of the coin, the median of its lives (turnover and fees: their mean).
        desk_ahead: What the book earned more, as a fraction a year of 252 sessions; None below ten sessions.
        low_usd, high_usd: Nine in ten lives of the coin ended between them.
        lives_ahead: The share of the coin's lives that ended higher than the book.
        lives: How many there were.
    """

    name: str
    label: str
    state: State
    sentence: str
    measures: Summary | None = None
    desk_ahead: Interval | None = None
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None
    lives_ahead: float | None = None
    lives: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The book and its benchmarks, in the order in which they are shown."""

    desk: Summary
    sessions: int
    others: tuple[Beside, ...]

    def of(self, name: str) -> Beside:
        """One benchmark."""
        return next(each for each in self.others if each.name == name)


def compare(
    account: pl.DataFrame,
    trades: pl.DataFrame,
    benchmarks: pl.DataFrame,
    lives: pl.DataFrame,
    notes: pl.DataFrame,
    *,
    starting_cash: Decimal,
    level: float = LEVEL,
    seed: int = SEED,
) -> Comparison:
    """The whole record beside every benchmark.

    Args:
        account: Rows of ACCOUNT up to a session.
        trades: Rows of TRADES up to it.
        benchmarks: Rows of BENCHMARKS up to it.
        lives: Rows of COIN_LIVES; those of the account's last session count.
        notes: Rows of BENCHMARK_NOTES; the newest of each benchmark counts.
        starting_cash: USD.
        level: Of the intervals.
        seed: Of the resampling.

    Raises:
        PermanentFailure: The account has no session.
    """
    if not account.height:
        raise PermanentFailure("a book without a settled session has nothing beside it")
    ordered = account.sort("session")
    returns = _returns(ordered, starting_cash)
    told = {row["name"]: row for row in notes.sort("session").iter_rows(named=True)}
    others = []
    for name in BENCHMARK_NAMES:
        rows = benchmarks.filter(pl.col("name") == name).sort("session")
        beside = _noted(name, told.get(name), made=rows.height > 0)
        if rows.height:
            beside = replace(
                beside,
                measures=_measures(rows, starting_cash),
                desk_ahead=_ahead(returns, rows, beside.state, level, seed),
            )
        others.append(_with_lives(beside, rows, lives, ordered) if name == COIN_FLIP else beside)
    return Comparison(summarise(account, trades, starting_cash=starting_cash), account.height, tuple(others))


def verdict(beside: Beside) -> str:
    """What a trader may take from it, in one sentence."""
    if beside.state == "missing":
        return f"{beside.label}: no number; {beside.sentence}"
    if beside.state == "equal":
        return f"{beside.label}: {beside.sentence}"
    told = beside.desk_ahead
    if told is None:
        return f"{beside.label}: too few sessions to compare"
    size = "more" if told.mean >= 0 else "less"
    sure = "" if told.above_zero or told.below_zero else "; not distinguishable from nothing"
    return (
        f"{beside.label}: the desk earned {abs(told.mean):.1%} a year {size} "
        f"({told.level:.0%}: {told.low:+.1%} to {told.high:+.1%}, n = {told.observations} sessions){sure}"
    )


def coin_sentence(beside: Beside) -> str:
    """Where the book stands among the coin's lives."""
    if beside.lives_ahead is None or beside.low_usd is None or beside.high_usd is None:
        return "The coin has not had time to copy what the desk did." if beside.lives else ""
    return (
        f"A coin that traded as much would have done better in {beside.lives_ahead:.0%} of {beside.lives} lives; "
        f"nine in ten ended between {beside.low_usd:,.0f} and {beside.high_usd:,.0f} USD."
    )


def _noted(name: str, row: Mapping[str, Any] | None, *, made: bool) -> Beside:
    state: State = "made" if made else "missing"
    if made and row is not None and row["state"] == "equal":
        state = "equal"
    sentence = row["sentence"] if row is not None and (row["state"] != "missing" or not made) else _ABSENT
    return Beside(name, LABELS[name], state, "" if made and row is None else str(sentence))


def _returns(account: pl.DataFrame, starting_cash: Decimal) -> Mapping[date, float]:
    equity = account["equity"].to_list()
    before = [starting_cash, *equity]
    pairs = zip(account["session"].to_list(), equity, before, strict=False)
    return {day: float(value / earlier) - 1 if earlier > 0 else 0.0 for day, value, earlier in pairs}


def _measures(rows: pl.DataFrame, starting_cash: Decimal) -> Summary:
    equity: Sequence[Decimal] = rows["equity"].to_list()
    before = [starting_cash, *equity]
    traded = [float(t / e) for t, e in zip(rows["traded_value"].to_list(), before, strict=False) if e > 0]
    return replace(
        summarise_equity(rows, starting_cash=starting_cash),
        turnover_fraction_annualised=fmean(traded) * SESSIONS_PER_YEAR if traded else None,
        fees_usd_to_date=sum(rows["fees"].to_list(), Decimal(0)),
    )


def _ahead(returns: Mapping[date, float], rows: pl.DataFrame, state: State, level: float, seed: int) -> Interval | None:
    """None for the book itself, and where too few sessions are known of both."""
    if state == "equal":
        return None
    theirs = dict(rows.select("session", "mean_return").iter_rows())
    both = sorted(returns.keys() & theirs.keys())
    found = block_bootstrap_difference([returns[d] for d in both], [theirs[d] for d in both], level=level, seed=seed)
    return None if found is None else _yearly(found)


def _yearly(interval: Interval) -> Interval:
    mean, low, high = (value * SESSIONS_PER_YEAR for value in (interval.mean, interval.low, interval.high))
    return replace(interval, mean=mean, low=low, high=high)


def _with_lives(beside: Beside, rows: pl.DataFrame, lives: pl.DataFrame, account: pl.DataFrame) -> Beside:
    """The coin: ratios are those of its lives, for the median of many paths is smoother than any of them."""
    last = account["session"][-1]
    ended = lives.filter(pl.col("session") == last)
    if not ended.height or beside.measures is None:
        return beside
    ahead = share_ahead(ended["equity"].to_list(), account["equity"][-1])
    at_last = rows.filter(pl.col("session") == last)
    low, high = (at_last[0, name] if at_last.height else None for name in ("low", "high"))
    measures = replace(
        beside.measures,
        cagr_fraction=None,
        volatility_fraction_annualised=None,
        sortino_ratio=None,
        sharpe_ratio=_median(ended["sharpe_ratio"].drop_nulls().to_list()),
        max_drawdown_fraction=_median(ended["max_drawdown_fraction"].to_list()),
        return_fraction_to_date=_median(ended["return_fraction"].to_list()),
    )
    known = _has_copied(ended, account)
    return replace(
        beside,
        measures=measures,
        low_usd=low,
        high_usd=high,
        lives=ended.height,
        lives_ahead=ahead if known else None,
        desk_ahead=beside.desk_ahead if known else None,
    )


def share_ahead(ended: Sequence[Decimal], desk: Decimal) -> float:
    """The share of lives that ended higher than the book; equal ones count half."""
    return (sum(value > desk for value in ended) + sum(value == desk for value in ended) / 2) / len(ended)


def _has_copied(ended: pl.DataFrame, account: pl.DataFrame) -> bool:
    """Whether the lives have traded about as much as the book: on a short record most of their days are still to come."""
    theirs = fmean(float(value) for value in ended["traded_value"].to_list())
    return theirs >= TURNOVER_MIN * float(sum(account["traded_value"].to_list(), Decimal(0))) > 0


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def shown(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Rows for a table: a label, the desk, then each benchmark in the order of the comparison."""
    measures = [comparison.desk, *(each.measures for each in comparison.others)]
    for name, label, form in _LINES:
        values = (None if one is None else getattr(one, name) for one in measures)
        yield label, *("n/a" if value is None else form.format(value) for value in values)
    for label, name in (("Desk ahead, a year", "mean"), ("  at least (95 %)", "low"), ("  at most (95 %)", "high")):
        gaps = (each.desk_ahead for each in comparison.others)
        yield label, "", *("" if gap is None else f"{getattr(gap, name):+.1%}" for gap in gaps)


_LINES = (
    ("equity_usd", "Equity, USD", "{:,.0f}"),
    ("return_fraction_to_date", "Total return", "{:+.2%}"),
    ("cagr_fraction", "Return per year", "{:+.2%}"),
    ("sharpe_ratio", "Sharpe ratio", "{:.2f}"),
    ("max_drawdown_fraction", "Largest drawdown", "{:.2%}"),
    ("turnover_fraction_annualised", "Turnover per year", "{:.0%}"),
    ("fees_usd_to_date", "Fees, USD", "{:,.0f}"),
)
