"""What an ordinary day brings, and no alarm: a halt sells everything, so one that is wrong is dear.

First a real gateway on a market in memory with the watchdog beside it; then looks alone, made at random within the lags that
brokers, ledgers and gateways have.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import Gateway
from tests.gateway.parts import OPEN, exit_of
from tests.gateway.world import run
from tests.warden.desk import Desk
from tests.warden.views import LIMITS, NOW, SETTINGS, held, ledger, order, seen, sign, snapshot
from trading_assets.broker.model import OrderReport, Snapshot
from warden.core import Ruling
from warden.judging import judge
from warden.seen import Finding, Memory, Seen, Trade, WorkingOrder

PROVE = pytest.mark.skipif(
    not os.environ.get("DESK_PROVE"), reason="a minute suffices here; DESK_PROVE=1 takes the hour"
)
Move = Callable[["Hour"], Awaitable[None]]


@dataclass
class Hour:
    """A desk at work, its gateway, and what the watchdog has ruled so far."""

    desk: Desk
    gateway: Gateway
    rulings: list[Ruling]
    number: int = 0

    async def pass_by(self, looks: int, step: float = 1.0) -> None:
        """Lets time pass; what is signed is sent."""
        for _ in range(looks):
            self.rulings += await self.desk.watch(step, step, gateway=self.gateway)
            await self.gateway.dispatch()


async def quiet(hour: Hour) -> None:
    """Nothing happens."""
    await hour.pass_by(3)


async def another_symbol(hour: Hour) -> None:
    """An entry in another symbol, where none is held."""
    if not hour.desk.world.exchange.held.get("MSFT"):
        hour.desk.quote("MSFT", 200)
        hour.number += 1
        hour.desk.world.signed(symbol="MSFT", slot=f"m{hour.number}")
        await hour.pass_by(3)


async def stopped_out(hour: Hour) -> None:
    """The price falls through the stop."""
    hour.desk.quote("MSFT", 195.9)
    await hour.pass_by(3)


async def target_reached(hour: Hour) -> None:
    """The price rises through the target."""
    hour.desk.quote("AAPL", 105.5)
    await hour.pass_by(3)
    hour.desk.quote("AAPL", 100)


async def sold_on_a_decision(hour: Hour) -> None:
    """A signed exit."""
    if hour.desk.world.exchange.held.get("AAPL"):
        hour.number += 1
        plan = exit_of().model_copy(update={"slot": f"x{hour.number}"})
        hour.desk.world.sign(hour.desk.world.propose(plan))
        await hour.pass_by(3)


async def gateway_started_anew(hour: Hour) -> None:
    """The gateway dies, a stop fills meanwhile, and the next gateway waits for the lease to run out."""
    hour.desk.quote("MSFT", 195.9)
    hour.desk.world.broker.is_connected = False
    for _ in range(12):
        hour.rulings += await hour.desk.watch(1)
    hour.gateway = hour.desk.world.gateway()
    await hour.gateway.start()
    await hour.pass_by(3)


async def line_down(hour: Hour) -> None:
    """The gateway's connection breaks and comes back."""
    hour.desk.world.broker.drop()
    await hour.pass_by(4)


async def watchdogs_line_down(hour: Hour) -> None:
    """The watchdog's own connection breaks and comes back."""
    hour.desk.broker.drop()
    hour.desk.broker.snapshot_fails = True
    await hour.pass_by(3)
    hour.desk.broker.snapshot_fails = False
    await hour.pass_by(1)


MOVES: Sequence[Move] = (
    another_symbol,
    quiet,
    gateway_started_anew,
    target_reached,
    line_down,
    another_symbol,
    watchdogs_line_down,
    stopped_out,
    sold_on_a_decision,
)


async def played(folder: Path, rounds: int, pause: int) -> Hour:
    """A desk that trades and a watchdog beside it."""
    desk = Desk(folder)
    hour = Hour(desk, await desk.holding(), [])
    for _ in range(rounds):
        for move in MOVES:
            await move(hour)
            await hour.pass_by(pause, 5.0)
    return hour


def alarms(hour: Hour) -> list[Finding]:
    """What would have sold something."""
    return [each for ruling in hour.rulings for each in ruling.findings if each.level in {"halt", "flatten", "protect"}]


def test_beside_a_gateway_at_work_it_sells_nothing_and_halts_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        hour = await played(tmp_path, 1, 0)
        assert alarms(hour) == []
        assert hour.desk.world.halts() == []
        assert hour.desk.broker.placed == []
        assert len(hour.desk.world.exchange.executions) >= 4

    run(work)


@PROVE
def test_for_an_hour_it_sells_nothing_and_halts_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        hour = await played(tmp_path, 10, 7)
        assert hour.desk.world.hand.at - OPEN >= timedelta(hours=0.95)
        assert alarms(hour) == []
        assert hour.desk.world.halts() == []

    run(work)


@dataclass(frozen=True)
class Happening:
    """A fill at some second, and by how many seconds each account of it lags."""

    at: int
    shares: int
    ledger_lag: int
    cover_lag: int


LAGS = st.builds(
    Happening,
    at=st.integers(0, 340),
    shares=st.integers(1, 60),
    ledger_lag=st.integers(0, 9),
    cover_lag=st.integers(0, 9),
)
PARTS = st.sampled_from(["gateway", "ledger", "broker"])
OUTAGES = st.lists(st.tuples(PARTS, st.integers(0, 340)), max_size=3, unique_by=lambda each: each[0])


def at_second(second: int, fills: Sequence[Happening], outages: Sequence[tuple[str, int]], cash_every: int) -> Seen:
    """A look in which ledger, stops and cash each know what they can know by then."""
    away = {name: second - begun for name, begun in outages if 0 <= second - begun < 60}
    done = [each for each in fills if each.at <= second]
    catching_up = max((begun + 60 for name, begun in outages if name == "gateway" and begun <= second), default=0)
    booked = [
        each
        for each in done
        if each.at + each.ledger_lag <= second
        and not ("gateway" in away and each.at >= second - away["gateway"])
        and not (catching_up <= second < catching_up + 5 and each.at >= catching_up - 60)
    ]
    told = [each for each in done if each.at <= second - second % cash_every]
    stops = [each for each in done if each.at + each.cover_lag <= second]
    shares, cash = sum(each.shares for each in done), Decimal(100_000)
    working, resting = (
        zip(*(_stop(number, each) for number, each in enumerate(stops)), strict=True) if stops else ((), ())
    )
    account = ledger(
        positions={"AAPL": Decimal(sum(each.shares for each in booked))},
        cash=cash - 100 * sum(each.shares for each in booked),
        orders=working,
        trades=tuple(_trade(number, each) for number, each in enumerate(booked)),
    )
    look = seen(
        now=NOW + timedelta(seconds=second),
        signs={"gateway": sign("gateway", away.get("gateway", second % 3)), "feed": sign("feed", second % 9)},
        ledger=None if "ledger" in away else account,
        broker=snapshot(
            (held(quantity=str(shares)),) if shares else (),
            resting,
            cash=str(cash - 100 * sum(each.shares for each in told)),
        ),
    )
    return replace(look, broker=None) if "broker" in away else look


def _stop(number: int, fill: Happening) -> tuple[WorkingOrder, OrderReport]:
    ref = f"D1:{number}"
    told = order(quantity=str(fill.shares), ref=ref, perm_id=number, order_id=number, oca_group=ref)
    return WorkingOrder(f"{number}-stop", ref, "AAPL", False, number, 11, ref), told


def _trade(number: int, fill: Happening) -> Trade:
    at = NOW + timedelta(seconds=fill.at)
    return Trade(f"{number}.01", "AAPL", "buy", Decimal(100), Decimal(100), at, liquidation=False)


@settings(max_examples=20, deadline=None)
@given(st.lists(LAGS, max_size=6), OUTAGES, st.integers(1, 180))
def test_within_the_lags_of_brokers_and_gateways_nothing_is_ever_sold(
    fills: list[Happening], outages: list[tuple[str, int]], cash_every: int
) -> None:
    memory = Memory()
    for second in range(400):
        look = at_second(second, fills, outages, cash_every)
        findings, memory = judge(look, memory, SETTINGS, LIMITS)
        worst = [each for each in findings if each.level in {"halt", "flatten"}]
        assert worst == [], (second, worst)


@pytest.mark.parametrize("wrong", ["shares", "cover", "cash"])
def test_the_same_looks_with_something_wrong_in_them_are_told(wrong: str) -> None:
    """So that the quiet above means something."""
    memory, levels = Memory(), set[tuple[str, str]]()
    for second in range(1_200):
        look = at_second(second, [Happening(5, 40, 1, 1)], [], 60)
        if second > 100 and look.broker is not None:
            look = replace(look, broker=_wrong(look.broker, wrong))
        findings, memory = judge(look, memory, SETTINGS, LIMITS)
        levels |= {(each.control, each.level) for each in findings}
    assert levels & {("W2", "halt"), ("W1", "flatten")}


def _wrong(told: Snapshot, what: str) -> Snapshot:
    if what == "shares":
        return replace(told, positions=(held(quantity="39"),))
    return (
        replace(told, open_orders=()) if what == "cover" else snapshot(told.positions, told.open_orders, cash="95000")
    )
