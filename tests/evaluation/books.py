"""Small books for the tests: rows that fit the lane's tables, from the few numbers that a test is about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.money import usd
from trading_assets.core.tables import Table
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES, Costs
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import VERDICTS

FIRST = date(2024, 1, 2)
CASH = Decimal("100000.0000")
FREE = Costs(Decimal(0), Decimal(0), Decimal(1), Decimal(0), Decimal(1))
PAPER = Costs(Decimal("0.005"), Decimal("1.0"), Decimal("0.01"), Decimal("2.0"), Decimal("0.05"))


@cache
def day(number: int) -> date:
    """The number-th session of the tests, from 1 on."""
    return XNYS.sessions(FIRST, date(2026, 6, 30))[number - 1].day


def rows(table: Table, given: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as they are given, without the checks that the lake makes: a test may break them."""
    known = [{**row, "knowable_at": XNYS.session(row["session"]).close} for row in given]
    return pl.DataFrame(known, schema=dict(table.polars_schema()), orient="row") if known else table.empty()


def account_row(number: int, cash: object, value: object = 0, **more: Any) -> dict[str, Any]:
    """One row of ACCOUNT; what is not given is nothing."""
    amounts = {"cash": usd(cash), "market_value": usd(value), "equity": usd(cash) + usd(value)}  # type: ignore[arg-type]
    counts = {"positions": 0, "decisions": 1, "plans": 0, "vetoes": 0}
    zero = dict.fromkeys(("fees", "dividends", "traded_value"), Decimal(0))
    money = {name: usd(amount) for name, amount in more.items() if name in {*zero, "equity"}}
    return {"session": day(number), **amounts, **zero, **counts, **more, **money}


def trade_row(number: int, pnl: object, **more: Any) -> dict[str, Any]:
    """One row of TRADES: 10 shares entered at 100 with a stop at 95 (50 USD at risk) unless something else is given."""
    amount = usd(pnl)  # type: ignore[arg-type]
    row: dict[str, Any] = {
        "session": day(number),
        "trade_id": f"trade-{number}",
        "symbol": "AAPL",
        "strategy": "pullback",
        "regime": "trending_up",
        "opened": day(number),
        "quantity": 10,
        "entry_price": Decimal(100),
        "exit_price": Decimal(100) + amount / 10,
        "stop_price": Decimal(95),
        "fees": Decimal(0),
        "dividends": Decimal(0),
        "pnl": amount,
        "return_fraction": float(amount) / 1000,
        "sessions_held": 1,
        "exit_reason": "target" if amount > 0 else "stop",
    }
    return {**row, **more}


def account(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of ACCOUNT."""
    return rows(ACCOUNT, given)


def trades(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of TRADES."""
    return rows(TRADES, given)


def benchmark(*equity: object) -> pl.DataFrame:
    """Rows of BENCHMARK from the first session on."""
    return rows(BENCHMARK, [{"session": day(n), "equity": usd(e)} for n, e in enumerate(equity, start=1)])  # type: ignore[arg-type]


def fill_row(number: int, trade: int, side: str, price: object, **more: Any) -> dict[str, Any]:
    """One row of FILLS for a trade of `trade_row`."""
    role = "entry" if side == "buy" else "target"
    row = {
        "session": day(number),
        "fill_id": f"trade-{trade}-{role}#{number}",
        "order_id": f"trade-{trade}-{role}",
        "intent_id": f"trade-{trade}",
        "symbol": "AAPL",
        "side": side,
        "role": role,
        "quantity": 10,
        "price": usd(price),  # type: ignore[arg-type]
        "fee": Decimal(0),
        "reason": "open",
        "at": XNYS.session(day(number)).open,
    }
    return {**row, **more}


def fills(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of FILLS."""
    return rows(FILLS, given)


def positions(*given: tuple[int, int, object]) -> pl.DataFrame:
    """Rows of POSITIONS in AAPL, each from session number, shares and close."""
    held = [
        {
            "session": day(number),
            "symbol": "AAPL",
            "quantity": quantity,
            "cost": usd(quantity * 100),
            "close": usd(close),  # type: ignore[arg-type]
            "market_value": usd(close) * quantity,  # type: ignore[arg-type]
            "unrealised_pnl": usd(close) * quantity - 100 * quantity,  # type: ignore[arg-type]
        }
        for number, quantity, close in given
    ]
    return rows(POSITIONS, held)


def bar_row(number: int, opens: float, close: float, *, symbol: str = "AAPL", **more: Any) -> dict[str, Any]:
    """One daily bar; high and low are those of open and close unless given."""
    session = XNYS.session(day(number))
    row = {
        "symbol": symbol,
        "session": session.day,
        "start": session.open,
        "open": opens,
        "high": max(opens, close),
        "low": min(opens, close),
        "close": close,
        "volume": 1e6,
        "source": "test",
    }
    return {**row, **more}


def bars(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of DAILY_BARS."""
    return rows(DAILY_BARS, given)


def split_row(number: int, ratio: float, *, symbol: str = "AAPL") -> dict[str, Any]:
    """One split in force from the session's open."""
    kind = {"kind": "split", "ratio": ratio, "amount": 0.0}
    return {"symbol": symbol, "session": day(number), "source": "test", **kind}


def dividend_row(number: int, amount: float, *, symbol: str = "AAPL") -> dict[str, Any]:
    """One cash dividend with its ex-date."""
    kind = {"kind": "cash_dividend", "ratio": 1.0, "amount": amount}
    return {"symbol": symbol, "session": day(number), "source": "test", **kind}


def actions(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of CORPORATE_ACTIONS."""
    return rows(CORPORATE_ACTIONS, given)


def plan(number: int, *, symbol: str = "AAPL", **more: Any) -> TradePlan:
    """An entry of 10 shares at 100 at most, stop 95, target 110."""
    session = XNYS.session(day(number))
    terms: dict[str, Any] = {
        "session": session.day,
        "slot": "09:30",
        "as_of": session.open,
        "action": "enter",
        "strategy": "pullback",
        "symbol": symbol,
        "regime": "trending_up",
        "quantity": 10,
        "reference": Decimal("99.0000"),
        "entry": Decimal("100.0000"),
        "stop": Decimal("95.0000"),
        "target": Decimal("110.0000"),
        "thesis_id": short_id(symbol),
        "confidence": 0.6,
        "reasons": ("closed above its mean", "breadth | rises"),
    }
    return TradePlan(**{**terms, **more})


@dataclass(frozen=True)
class Book:
    """A lane's five tables."""

    account: pl.DataFrame
    trades: pl.DataFrame
    positions: pl.DataFrame
    fills: pl.DataFrame
    benchmark: pl.DataFrame

    def with_(self, **frames: pl.DataFrame) -> "Book":
        """The same book with some tables replaced."""
        return replace(self, **frames)


def tiny() -> Book:
    """Five sessions and three trades, small enough to work out by hand.

    Equity 100,000 → 100,200 → 100,100 → 100,100 → 99,900 → 100,300; P&L of the trades +200 (4 R), -100 (-2 R), +200 (4 R).
    """
    return Book(
        account=account(
            account_row(1, 100200, traded_value=2200, plans=2, vetoes=1, fees=2),
            account_row(2, 100100, traded_value=1900, plans=1, dividends=5),
            account_row(3, 99100, 1000, traded_value=1000, positions=1, fees=1, plans=1, vetoes=1),
            account_row(4, 99100, 800, positions=1),
            account_row(5, 100300, traded_value=1200, fees=1),
        ),
        trades=trades(
            trade_row(1, 200, fees=Decimal(2)),
            trade_row(2, -100, strategy="momentum_breakout", dividends=Decimal(5)),
            trade_row(5, 200, opened=day(3), sessions_held=3, regime="ranging", fees=Decimal(2)),
        ),
        positions=positions((3, 10, 100), (4, 10, 80)),
        fills=fills(
            fill_row(1, 1, "buy", 100, fee=Decimal(1)),
            fill_row(1, 1, "sell", 120, fee=Decimal(1), fill_id="trade-1-target#2"),
            fill_row(2, 2, "buy", 100),
            fill_row(2, 2, "sell", 90),
            fill_row(3, 5, "buy", 100, fee=Decimal(1)),
            fill_row(5, 5, "sell", 120, fee=Decimal(1)),
        ),
        benchmark=benchmark(100100, 100200, 100000, 100300, 100200),
    )


def walk(sessions: int) -> Book:
    """A longer book that holds together: a position of 100 shares that swings, and a trade closed in each tenth session."""
    chance = Random(7)
    closes = list(accumulate((chance.gauss(0.02, 1.2) for _ in range(sessions)), initial=100.0))[1:]
    lines = [(n, Decimal(str(close)).quantize(Decimal("0.01"))) for n, close in enumerate(closes, start=1)]
    held = accumulate((chance.gauss(30, 700) for _ in range(sessions)), initial=float(CASH))
    names = ("pullback", "momentum_breakout", "mean_reversion")
    regimes = ("trending_up", "ranging", "high_volatility", "low_volatility", "trending_down")
    return Book(
        account=account(
            *(account_row(n, 90000, 100 * c, positions=1, plans=n % 3, vetoes=n % 2 * (n % 3)) for n, c in lines)
        ),
        trades=trades(
            *(
                trade_row(n, (n * 31 % 17 - 7) * 40, strategy=names[n // 10 % 3], regime=regimes[n // 10 % 5])
                for n in range(10, sessions + 1, 10)
            )
        ),
        positions=positions(*((n, 100, c) for n, c in lines)),
        fills=fills(),
        benchmark=benchmark(*list(held)[1:]),
    )


def verdicts(*given: tuple[TradePlan, str, str]) -> pl.DataFrame:
    """Rows of VERDICTS, each from a plan, a ruling and its controls."""
    judged = [
        {
            "session": p.session,
            "slot": p.slot,
            "plan_id": p.id,
            "plan_digest": p.digest,
            "signer": "risk_gate",
            "strategy": p.strategy,
            "symbol": p.symbol,
            "ruling": ruling,
            "quantity": 0 if ruling == "veto" else p.quantity,
            "controls": controls,
            "reasons": "[]",
        }
        for p, ruling, controls in given
    ]
    return rows(VERDICTS, judged)
