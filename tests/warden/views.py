"""Looks of the watchdog made by hand: a desk that is well, and what is changed in it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.broker.model import AccountValues, Execution, HeldPosition, OrderReport, Side, Snapshot
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.calendar import XNYS
from trading_assets.core.preferences import Preferences
from warden.judging import judge
from warden.seen import Finding, Identity, LedgerSeen, Memory, Seen, Sign, WorkingOrder

ACCOUNT = "DU1234567"
SESSION = XNYS.session(date(2024, 3, 25))
NOW = datetime(2024, 3, 25, 15, 0, tzinfo=UTC)
OWN = Identity("1.0", "limits")
SETTINGS = ExecutionSettings(broker="paper")
LIMITS = Preferences()
GATEWAY, WATCHDOG = 11, 12


def held(symbol: str = "AAPL", quantity: str = "10", cost: str = "100") -> HeldPosition:
    return HeldPosition(ACCOUNT, symbol, 1, Decimal(quantity), Decimal(cost))


def order(symbol: str = "AAPL", side: Side = "sell", quantity: str = "10", **more: Any) -> OrderReport:
    """A resting stop of the gateway's, unless it is told otherwise."""
    told: dict[str, Any] = {
        "perm_id": 7,
        "order_id": 7,
        "client_id": GATEWAY,
        "ref": "D1:i",
        "account": ACCOUNT,
        "con_id": 1,
        "kind": "stop",
        "filled": Decimal(0),
        "status": "working",
        "stop_price": Decimal(95),
        "oca_group": "D1:i",
    }
    return OrderReport(symbol=symbol, side=side, quantity=Decimal(quantity), **{**told, **more})


def snapshot(
    positions: tuple[HeldPosition, ...] = (),
    orders: tuple[OrderReport, ...] = (),
    *,
    executions: tuple[Execution, ...] = (),
    **values: str | None,
) -> Snapshot:
    told = {"equity": "100000", "cash": "99000", "maintenance_margin": "0", **values}
    money = AccountValues(**{name: None if value is None else Decimal(value) for name, value in told.items()})  # type: ignore[arg-type]
    return Snapshot(NOW, (ACCOUNT,), positions, orders, (), executions, (), money)


def ledger(**changed: Any) -> LedgerSeen:
    working = WorkingOrder("i-stop", "D1:i", "AAPL", opens=False, order_id=7, client_id=GATEWAY, oca_group="D1:i")
    well = LedgerSeen(
        positions={"AAPL": Decimal(10)},
        adopted={},
        cash=Decimal(99_000),
        orders=(working,),
        trades=(),
        day_symbols=frozenset(),
        day_open=Decimal(100_000),
        peak=Decimal(100_000),
        halts={},
        answered=(),
        unanswered={},
    )
    return replace(well, **changed)


def sign(process: str, seconds: float = 1.0, identity: Identity = OWN, *, acts: bool = True) -> Sign:
    return Sign(process, timedelta(seconds=seconds), 4242, identity, acts)


def seen(**changed: Any) -> Seen:
    """Ten covered shares, everybody alive, ledger and broker agreed."""
    well = Seen(
        now=NOW,
        session=SESSION,
        own=OWN,
        signs={"gateway": sign("gateway"), "feed": sign("feed")},
        ledger=ledger(),
        broker=snapshot((held(),), (order(),)),
        clock_skew=timedelta(0),
    )
    return replace(well, **changed)


def found(
    look: Seen,
    *,
    after: timedelta = timedelta(0),
    watched: timedelta = timedelta(days=1),
    settings: ExecutionSettings = SETTINGS,
) -> list[Finding]:
    """What is found when things have been so for some time, and somebody has looked at them all along."""
    _, memory = judge(replace(look, now=look.now - after), Memory(), settings, LIMITS)
    began = replace(memory, began=look.now - max(after, watched), looked=look.now)
    findings, _ = judge(look, began, settings, LIMITS)
    return list(findings)


def brief(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.control, finding.level, finding.symbol) for finding in findings]
