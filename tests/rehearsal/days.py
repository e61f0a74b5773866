"""An ordinary day as evidence: two slots, a bracket that was filled and sold, every part done. Tests break one thing at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from desk.rehearsing.seen import (
    Booked,
    Claim,
    Close,
    Decision,
    Evidence,
    Fill,
    Halt,
    Intent,
    Order,
    Run,
    Sample,
)

OPEN = datetime(2023, 6, 26, 13, 30, tzinfo=UTC)
CLOSE = datetime(2023, 6, 26, 20, 0, tzinfo=UTC)
KEY = "2023-06-26"
SIGNERS = ("risk_gate", "fact_checker", "double_checker")
CASH = Decimal(100_000)


def at(minutes: float) -> datetime:
    """So many minutes after the open."""
    return OPEN + timedelta(minutes=minutes)


ENTRY = Order(1, "D1:a", "AAA", "buy", "limit", 40, 40, 0, "filled", at(3), 0, "", Decimal(100), None, False)
TARGET = Order(2, "D1:a", "AAA", "sell", "limit", 40, 0, 40, "cancelled", at(3), 1, "D1:a", Decimal(104), None, False)
STOP = Order(3, "D1:a", "AAA", "sell", "stop", 40, 40, 0, "filled", at(3), 1, "D1:a", None, Decimal(98), True)
BOUGHT = Fill("x1", 1, "D1:a", "AAA", "buy", 40, Decimal(100), Decimal(1), at(3.1))
SOLD = Fill("x2", 3, "D1:a", "AAA", "sell", 40, Decimal(98), Decimal(1), at(60))
RESTING = replace(STOP, filled=0, status="working", triggered=False)
INTENT = Intent(
    id="a",
    slot="09:30",
    strategy="vwap_momentum",
    symbol="AAA",
    action="enter",
    quantity=40,
    digest="d",
    flat_by_close=True,
    state="FILLED",
    why="",
    opens=True,
    states=("PROPOSED", "SIGNED", "INTENT", "SUBMITTING", "WORKING", "FILLED"),
    seals={signer: at(2) for signer in SIGNERS},
    sealed_digests=frozenset({"d"}),
)


def sample(minutes: float, cash: Decimal, held: dict[str, int], *orders: Order) -> Sample:
    """The account so many minutes after the open, at sixty times the machine's speed."""
    return Sample(at(minutes), minutes, cash, held, {"AAA": Decimal(100)}, orders)


def ordinary() -> Evidence:
    """Nothing is wrong with it."""
    bought, sold = CASH - 4_001, CASH - 4_001 + 3_919
    return Evidence(
        due=("09:30", "12:00"),
        parts=(f"opinions/{KEY}", f"postclose/{KEY}", f"report/{KEY}"),
        opened=OPEN,
        closed=CLOSE,
        ended_at=CLOSE + timedelta(hours=1),
        speed=60.0,
        starting_cash=CASH,
        limits={
            "order_quantity_max": 500,
            "order_notional_usd_max": 10_000,
            "position_fraction_max": 0.05,
            "positions_max": 8,
            "sector_fraction_max": 0.25,
            "gross_exposure_fraction_max": 1.0,
            "short_selling": False,
        },
        sectors={"AAA": "one", "BBB": "one", "CCC": "two"},
        naked_s=20.0,
        has_broker=True,
        decisions=(
            Decision("09:30", OPEN, "ACTIVE", "1 plans"),
            Decision("12:00", at(150), "IDLE", "no strategy acts at 12:00"),
        ),
        intents=(INTENT,),
        booked=tuple(
            Booked(f.exec_id, f.ref, f.symbol, f.side, Decimal(f.quantity), f.price, f.at) for f in (BOUGHT, SOLD)
        ),
        halts=(Halt(1, "C1 first start", OPEN - timedelta(hours=1), OPEN - timedelta(minutes=50)),),
        claims=(
            Claim(f"opinions/{KEY}", "done", 1, ""),
            Claim(f"postclose/{KEY}", "done", 1, ""),
        ),
        runs=(
            Run("r1", "decide", "SUCCESS", f"slot/{KEY}/09:30", KEY, "09:30", 0, 1, 2),
            Run("r2", "decide", "SUCCESS", f"slot/{KEY}/12:00", KEY, "12:00", 3, 4, 5),
            Run("r3", "postclose", "SUCCESS", f"postclose/{KEY}", KEY, "", 6, 7, 8),
            Run("r4", "report", "SUCCESS", "", KEY, "", 9, 10, 11),
        ),
        orders=(ENTRY, TARGET, STOP),
        fills=(BOUGHT, SOLD),
        samples=(
            sample(1, CASH, {}),
            sample(5, bought, {"AAA": 40}, RESTING),
            sample(30, bought, {"AAA": 40}, RESTING),
            sample(61, sold, {}),
            sample(400, sold, {}),
        ),
        close=Close(sold, {}),
        journaled=frozenset({"09:30", "12:00"}),
        gate_at=OPEN - timedelta(hours=1),
        report="report.md",
    )
