"""What the checks on regimes look for. Each function returns one sentence per finding, and none where all is well.

The canaries compute a few stored rows a second time by another way. Which rows, a checksum of symbol and session decides: it is
the same in every run, and whoever writes a constant into a table cannot choose it.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, get_args

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.epochs import usable_bars
from trading_assets.regimes import reference
from trading_assets.regimes.liquidity import BUYERS_ABOVE, LIQUIDITY_WORDS, QUOTES, SELLERS_BELOW, STRESSED_ABOVE
from trading_assets.regimes.model import MARKET, Regime, StrategyView

FIRST_LABEL_BAR = 267
SAMPLED = 2
_WORDS = {"regime": get_args(Regime), "strategy_view": get_args(StrategyView)}
_SHARES = ("probability", "volatility_percentile")
_CLOSE_ENOUGH = {"probability": 1e-9, "volatility_percentile": 0.002, "trend_strength": 1e-6, "adx_14": 1e-6}
_KEY = ["symbol", "session"]


def missing_labels(bars: pl.DataFrame, labels: pl.DataFrame, span: Span) -> list[str]:
    """Sessions with enough history and no label, and labels of sessions that have none: for each symbol and for MARKET.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar on.
        labels: Rows of REGIME_LABELS of the span.
        span: Sessions that were asked for.
    """
    usable = usable_bars(bars, last=span.last).select(_KEY)
    due = pl.concat([usable, _market_sessions(usable)]).filter(
        pl.int_range(1, pl.len() + 1).over("symbol", order_by="session") >= FIRST_LABEL_BAR
    )
    due = due.filter(pl.col("session").is_between(span.first, span.last))
    unlabelled, undue = due.join(labels, on=_KEY, how="anti"), labels.join(due, on=_KEY, how="anti")
    return [*_listed("no label", unlabelled), *_listed("a label without the history for it", undue)]


def strange_labels(labels: pl.DataFrame) -> list[str]:
    """Words that no rule says, shares outside 0 to 1, numbers that are not finite, and a `since` that contradicts the rows."""
    numbers = pl.col(*_CLOSE_ENOUGH)
    return [
        *_unknown_words(labels, _WORDS),
        *_listed("a share is not within 0 and 1", labels.filter(pl.any_horizontal(~pl.col(*_SHARES).is_between(0, 1)))),
        *_listed("a number is not finite", labels.filter(pl.any_horizontal(~numbers.is_finite()))),
        *_wrong_since(labels),
    ]


def miscomputed_labels(bars: pl.DataFrame, actions: pl.DataFrame, labels: pl.DataFrame) -> list[str]:
    """Differences between sampled rows, one of MARKET among them, and the rules computed in plain Python.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar on; those after a sampled session are not read.
        actions: Rows of CORPORATE_ACTIONS.
        labels: Rows of REGIME_LABELS to sample from.
    """
    market = pl.col("symbol") == MARKET
    sampled = [*_sample(labels.filter(market), 1), *_sample(labels.filter(~market), SAMPLED - 1)]
    return [finding for row in sampled for finding in _against_reference(row, bars, actions)]


def strange_liquidity(liquidity: pl.DataFrame, regimes: pl.DataFrame) -> list[str]:
    """Rows of LIQUIDITY without a regime and the reverse, unknown words, a wrong `since`, rows that contradict their numbers.

    Args:
        liquidity: Rows of LIQUIDITY of the span.
        regimes: Rows of LIQUIDITY_REGIMES of the span.
    """
    return [
        *_listed("no regime", liquidity.join(regimes, on=_KEY, how="anti")),
        *_listed("a regime without liquidity", regimes.join(liquidity, on=_KEY, how="anti")),
        *_unknown_words(regimes, {"regime": LIQUIDITY_WORDS}),
        *_wrong_since(regimes),
        *_changed_quotes(liquidity, regimes),
        *(finding for row in regimes.iter_rows(named=True) for finding in _contradiction(row)),
    ]


def strange_opinions(labels: pl.DataFrame, opinions: pl.DataFrame) -> list[str]:
    """Unknown words, models fitted in the year that they judge, and flags that do not fit the rules' labels.

    Args:
        labels: Rows of REGIME_LABELS of the span.
        opinions: Rows of REGIME_OPINIONS of the span.
    """
    rules = labels.select(*_KEY, pl.col("regime").alias("rules"))
    flag = (pl.col("regime") == pl.col("rules")).ne_missing(pl.col("agrees"))
    return [
        *_unknown_words(opinions, {"regime": _WORDS["regime"]}),
        *_listed(
            "fitted on its own year or later",
            opinions.filter(pl.col("fitted_through").dt.year() >= pl.col("session").dt.year()),
        ),
        *_listed("agrees is wrong", opinions.join(rules, on=_KEY, how="left").filter(flag)),
    ]


def sampled_session(opinions: pl.DataFrame) -> date | None:
    """The session of the opinions that is computed a second time; None without a row."""
    return next((row["session"] for row in _sample(opinions, 1)), None)


def differing(stored: pl.DataFrame, again: pl.DataFrame) -> list[str]:
    """Rows that a second computation made otherwise."""
    columns = stored.columns
    return [
        *_listed("computed again it is different", stored.join(again, on=columns, how="anti", nulls_equal=True)),
        *_listed("computed again there is a row more", again.join(stored, on=columns, how="anti", nulls_equal=True)),
    ]


def _market_sessions(usable: pl.DataFrame) -> pl.DataFrame:
    """The sessions of the index: some symbol has a bar in the session and in the exchange's session before."""
    calendar = pl.DataFrame({"session": XNYS.days[:-1], "next": XNYS.days[1:]})
    after = usable.join(calendar, on="session").select("symbol", pl.col("next").alias("session"))
    return usable.join(after, on=_KEY, how="semi").select(pl.lit(MARKET).alias("symbol"), "session").unique()


def _against_reference(row: Mapping[str, Any], bars: pl.DataFrame, actions: pl.DataFrame) -> Iterator[str]:
    symbol, session = row["symbol"], row["session"]
    known = usable_bars(bars, last=session)
    if symbol == MARKET:
        expected = reference.expected_label(reference.index_bars(known, actions), [], session)
    else:
        own = reference.plain_bars(known.filter(pl.col("symbol") == symbol))
        expected = reference.expected_label(own, reference.plain_splits(actions, symbol), session)
    if expected is None:
        yield f"{session} {symbol}: the rules say nothing of this session"
        return
    for name, tolerance in _CLOSE_ENOUGH.items():
        if abs(row[name] - getattr(expected, name)) > tolerance and (name != "probability" or expected.sure):
            yield f"{session} {symbol}: {name} is {row[name]:.6g}, computed again {getattr(expected, name):.6g}"
    for name in ("regime", "since"):
        if expected.sure and row[name] != getattr(expected, name):
            yield f"{session} {symbol}: {name} is {row[name]}, computed again {getattr(expected, name)}"


def _contradiction(row: Mapping[str, Any]) -> Iterator[str]:
    """The rules of docs/regimes.md from the row's own numbers, written out once more."""
    spread, depth, amihud = row["spread_ratio"], row["depth_ratio"], row["amihud_ratio"]
    quoted = row["basis"] == QUOTES
    stress = [spread] if quoted else [spread, amihud]
    told = [*stress, depth] if quoted else stress
    if any(ratio is not None and ratio > STRESSED_ABOVE for ratio in stress):
        expected = "stressed"
    elif None in told:
        expected = "unknown"
    else:
        expected = "normal" if depth is None else _side(depth)
    if row["regime"] != expected:
        yield f"{row['session']} {row['symbol']}: {row['regime']}, but its numbers say {expected}"


def _side(depth: float) -> str:
    return "buyer_dominated" if depth > BUYERS_ABOVE else "seller_dominated" if depth < SELLERS_BELOW else "normal"


def _changed_quotes(liquidity: pl.DataFrame, regimes: pl.DataFrame) -> list[str]:
    """Rows whose basis, or whose quoted numbers, are not those of LIQUIDITY."""
    told = liquidity.select(*_KEY, "basis", "spread_ratio", "depth_ratio")
    both = regimes.join(told, on=_KEY, suffix="_there")
    other = [pl.col(name).ne_missing(pl.col(f"{name}_there")) for name in ("spread_ratio", "depth_ratio")]
    quoted = pl.col("basis") == QUOTES
    changed = (pl.col("basis") != pl.col("basis_there")) | (quoted & pl.any_horizontal(other))
    return _listed("basis, spread or depth is not that of the liquidity table", both.filter(changed))


def _wrong_since(rows: pl.DataFrame) -> list[str]:
    """`since` after its session, or moved within a run of one regime, or not set anew where the regime changes."""
    before = {name: pl.col(name).shift(1).over("symbol", order_by="session") for name in ("regime", "since")}
    stays = pl.col("regime") == before["regime"]
    moved = (stays & (pl.col("since") != before["since"])) | (~stays & (pl.col("since") != pl.col("session")))
    return _listed("since is wrong", rows.filter((pl.col("since") > pl.col("session")) | moved))


def _unknown_words(rows: pl.DataFrame, words: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, known in words.items():
        yield from _listed(f"{name} is no known word", rows.filter(~pl.col(name).is_in(list(known))))


def _sample(rows: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    def drawn(row: Mapping[str, Any]) -> int:
        return zlib.crc32(f"{row['symbol']} {row['session']}".encode())

    chosen = sorted(rows.select(_KEY).iter_rows(named=True), key=drawn)[:count]
    keys: Iterable[tuple[str, date]] = ((row["symbol"], row["session"]) for row in chosen)
    return [
        rows.row(by_predicate=(pl.col("symbol") == symbol) & (pl.col("session") == session), named=True)
        for symbol, session in keys
    ]


def _listed(what: str, rows: pl.DataFrame) -> list[str]:
    return [
        f"{session} {symbol}: {what}" for symbol, session in rows.select(_KEY).sort("session", "symbol").iter_rows()
    ]
