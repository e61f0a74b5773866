"""What trading cost against the price that the decision saw: implementation shortfall.

Perold ("The Implementation Shortfall: Paper versus Reality", Journal of Portfolio Management 14, 1988) compares the book with a
paper one that trades everything at once at the decision price. Per order that is, with + for a buy and - for a sale,

    filled shares x (price - reference) + unfilled shares x (close - reference),  fees beside it,

and a positive number is a cost. The reference of what a slot decides is its plan's: the last price that the decision knew. A stop
or a target decides at its own price, and a leg that trades at the close at that close. Where the price on arrival at the market is
known, the cost of a fill is told in two parts: delay (from the decision to arrival) and execution (from arrival to the fill).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.money import share_ratio, usd
from trading_assets.evaluation.attribution import time_of_day
from trading_assets.evaluation.model import RESTING, SLIPPAGE

Row = Mapping[str, Any]
_RESTING = frozenset({"stop", "target"})
_FINEST_FIRST = ("1m", "5m", "1h")
_PLACES = 6
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Market:
    """Prices of the market around the orders, by symbol and session or moment; splits by symbol."""

    daily: Mapping[tuple[str, date], Row] = field(default_factory=dict)
    bars: Mapping[tuple[str, datetime], float] = field(default_factory=dict)
    quotes: Mapping[tuple[str, datetime], float] = field(default_factory=dict)
    splits: Mapping[str, Sequence[tuple[date, Decimal]]] = field(default_factory=dict)

    @classmethod
    def of(cls, daily: pl.DataFrame, intraday: pl.DataFrame, quotes: pl.DataFrame, actions: pl.DataFrame) -> "Market":
        """From rows of DAILY_BARS, INTRADAY_BARS, QUOTE_BARS and CORPORATE_ACTIONS."""
        bars: dict[tuple[str, datetime], float] = {}
        for frequency in reversed(_FINEST_FIRST):
            known = intraday.filter(pl.col("frequency") == frequency).select("symbol", "start", "open")
            bars.update({(symbol, start): opened for symbol, start, opened in known.iter_rows()})
        splits: dict[str, list[tuple[date, Decimal]]] = {}
        for row in actions.filter(pl.col("kind") == "split").sort("session").rows(named=True):
            splits.setdefault(row["symbol"], []).append((row["session"], share_ratio(row["ratio"])))
        return cls(
            daily={(row["symbol"], row["session"]): row for row in daily.rows(named=True)},
            bars=bars,
            quotes={
                (symbol, start): (bid + ask) / 2
                for symbol, start, bid, ask in quotes.select("symbol", "start", "bid", "ask").iter_rows()
                if 0 < bid <= ask < math.inf
            },
            splits=splits,
        )

    def close(self, symbol: str, day: date) -> Decimal | None:
        """The session's close, USD as traded."""
        return _price(self.daily.get((symbol, day), {}).get("close"))

    def arrival(self, symbol: str, day: date, at: datetime) -> tuple[Decimal | None, str]:
        """The price that an order met which was placed at a moment, and where it is from; (None, "") where nobody knows."""
        opens = self.daily.get((symbol, day), {}).get("open") if at == XNYS.session(day).open else None
        found = (
            (_price(self.quotes.get((symbol, at))), "quote"),
            (_price(self.bars.get((symbol, at))), "bar"),
            (_price(opens), "open"),
        )
        return next((each for each in found if each[0] is not None), (None, ""))

    def ratio(self, symbol: str, after: date, until: date) -> Decimal:
        """New shares per old one over the splits after one session and up to another."""
        return math.prod(
            (ratio for day, ratio in self.splits.get(symbol, ()) if after < day <= until), start=Decimal(1)
        )


def slippage(
    fills: pl.DataFrame,
    orders: pl.DataFrame,
    plans: pl.DataFrame,
    market: Market,
    *,
    first: date,
    last: date,
    book: str,
) -> pl.DataFrame:
    """Rows of SLIPPAGE for the sessions from `first` to `last`.

    Args:
        fills: Rows of FILLS of those sessions.
        orders: Rows of ORDERS of those sessions and of all before that placed what filled in them.
        plans: Rows of TRADE_PLANS of the same.
        market: Prices of the sessions.
        book: The lane's name: with a plan's id it makes its intent's.
    """
    placed = {row["order_id"]: row for row in orders.rows(named=True)}
    decided = {short_id(book, row["plan_id"]): row for row in plans.rows(named=True)}
    known = [row for row in fills.rows(named=True) if first <= row["session"] <= last]
    rows = [_filled(fill, placed.get(fill["order_id"]), decided, market) for fill in known]
    rows.extend(_unfilled(placed.values(), known, decided, market, first=first, last=last))
    return SLIPPAGE.frame(rows)


def _filled(fill: Row, order: Row | None, plans: Mapping[str, Row], market: Market) -> dict[str, Any]:
    day, symbol, price = fill["session"], fill["symbol"], fill["price"]
    reference = _reference(fill["role"], order, plans, market, day)
    arrival, source = (None, "")
    if order is not None and _decides_now(fill["role"]):
        arrival, source = market.arrival(symbol, day, order["knowable_at"])
    signed = _signed(fill["side"], fill["quantity"])
    known = reference is not None and arrival is not None
    return {
        **_identity(fill, order),
        "fill_id": fill["fill_id"],
        "quantity": fill["quantity"],
        "reference": reference,
        "arrival": arrival,
        "arrival_source": source,
        "price": price,
        "delay": _cost(reference, arrival, signed) if known else None,
        "execution": _cost(arrival, price, signed) if known else None,
        "shortfall": _cost(reference, price, signed),
        "shortfall_bp": _basis_points(reference, price, fill["side"]),
        "fee": fill["fee"],
        "knowable_at": fill["knowable_at"],
    }


def _unfilled(
    orders: Sequence[Row] | Any,
    fills: Sequence[Row],
    plans: Mapping[str, Row],
    market: Market,
    *,
    first: date,
    last: date,
) -> Iterator[dict[str, Any]]:
    """What orders to trade now left undone in their session, at what its close made of it."""
    done: dict[str, int] = {}
    for fill in fills:
        done[fill["order_id"]] = done.get(fill["order_id"], 0) + fill["quantity"]
    for order in orders:
        left = order["quantity"] - done.get(order["order_id"], 0)
        if not (first <= order["session"] <= last and left > 0 and _decides_now(order["role"])):
            continue
        close = market.close(order["symbol"], order["session"])
        reference = _reference(order["role"], order, plans, market, order["session"])
        yield {
            **_identity(order, order),
            "fill_id": "",
            "quantity": left,
            "reference": reference,
            "arrival": None,
            "arrival_source": "",
            "price": close,
            "delay": None,
            "execution": None,
            "shortfall": _cost(reference, close, _signed(order["side"], left)),
            "shortfall_bp": _basis_points(reference, close, order["side"]),
            "fee": _NOTHING,
            "knowable_at": XNYS.session(order["session"]).close,
        }


def _identity(row: Row, order: Row | None) -> dict[str, Any]:
    """Which order it is about; what no decision ordered (the watchdog's flattening, say) has no strategy and no slot."""
    resting = row["role"] in _RESTING
    slot = "" if order is None else time_of_day(order["slot"])
    return {
        **{name: row[name] for name in ("session", "order_id", "intent_id", "symbol", "role", "side")},
        "strategy": "unknown" if order is None else order["strategy"],
        "type": "unknown" if order is None else order["type"],
        "time_of_day": RESTING if resting else slot,
    }


def _reference(role: str, order: Row | None, plans: Mapping[str, Row], market: Market, day: date) -> Decimal | None:
    """The price that was decided on, in the share count of `day`; None where nobody decided or nobody knows."""
    if order is None:
        return None
    ratio = market.ratio(order["symbol"], order["session"], day)
    if role in _RESTING:
        at = order["stop_price"] if role == "stop" else order["limit_price"]
        return None if at is None else usd(at / ratio)
    if role == "close":
        return market.close(order["symbol"], day)
    plan = plans.get(order["intent_id"])
    return None if plan is None else usd(plan["reference"] / ratio)


def _decides_now(role: str) -> bool:
    """Whether the order was meant to trade when it was decided."""
    return role in {"entry", "addition", "exit"}


def _signed(side: str, quantity: int) -> int:
    return quantity if side == "buy" else -quantity


def _cost(decided: Decimal | None, paid: Decimal | None, signed: int) -> Decimal | None:
    return None if decided is None or paid is None else usd((paid - decided) * signed)


def _basis_points(decided: Decimal | None, paid: Decimal | None, side: str) -> float | None:
    if decided is None or paid is None or decided <= 0:
        return None
    return round(float((paid - decided) / decided) * _signed(side, 1) * 10_000, _PLACES) + 0.0


def _price(value: float | None) -> Decimal | None:
    return usd(value) if value is not None and 0 < value < math.inf else None
