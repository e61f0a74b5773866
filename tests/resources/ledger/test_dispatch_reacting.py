"""A reaction's intent and its orders are one transaction, made on the book as it was pictured or not at all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, reading
from resources.ledger.journal import last_link
from resources.ledger.schema import INTENT_HISTORY, INTENT_STATES
from resources.ledger.state import LeaseLost
from tests.resources.ledger.dispatching import CLIENT, NOW, Desk, contract, executed, later
from trading_assets.broker.lifecycle import Adopted, Booked, FeeBooked, LegChanged, Tracked
from trading_assets.broker.model import Commission, HeldPosition, OrderRequest, Side
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.dispatch import NewLeg, Reduction

WATCHDOG = 12
LegsOf = Callable[[str], Sequence[NewLeg]]


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


def exit_of(symbol: str = "AAA", quantity: int = 7, key: str = "gain/AAA/1") -> Reduction:
    return Reduction(key, symbol, "exit", quantity, "a gain that nobody believes in")


def orders(
    symbol: str = "AAA", sizes: Sequence[int] = (7,), first: int = 50, side: Side = "sell", limit: str | None = "100.40"
) -> LegsOf:
    """An order for each size, as the gateway numbers them."""

    def made(intent_id: str) -> Sequence[NewLeg]:
        return [
            NewLeg(
                OrderRequest(
                    key=f"{intent_id}-exit" if place == 0 else f"{intent_id}-exit-{place + 1}",
                    ref=f"D1:{intent_id}",
                    order_id=first + place,
                    contract=contract(symbol),
                    side=side,
                    kind="market" if limit is None else "limit",
                    quantity=size,
                    tif="day",
                    limit_price=None if limit is None else Decimal(limit),
                    oca_group="a group",
                ),
                "exit",
            )
            for place, size in enumerate(sizes)
        ]

    return made


def react(desk: Desk, wanted: Reduction | None = None, legs: LegsOf | None = None) -> Tracked | str | None:
    told = wanted or exit_of()
    return desk.store.reduce_and_submit(
        told, contract(told.symbol), legs or orders(told.symbol), token=desk.token, as_of=NOW
    )


def holding(desk: Desk) -> Booked:
    """Seven shares of AAA, and a picture of them."""
    booked = executed(desk.submitted())
    desk.apply(booked)
    desk.store.known()
    return booked


def journal(desk: Desk) -> tuple[int, str]:
    with reading(desk.engine) as connection:
        return last_link(connection)


def test_one_transaction_takes_a_reaction_to_submitting_and_the_ledger_tells_it_like_any_other(desk: Desk) -> None:
    holding(desk)
    commits = 0

    def count(_: sa.Connection) -> None:
        nonlocal commits
        commits += 1

    sa.event.listen(desk.engine, "commit", count)
    made = react(desk)
    assert commits == 1
    assert isinstance(made, Tracked)
    assert desk.store.known().intents[-1] == made
    with reading(desk.engine) as connection:
        past = sa.select(INTENT_HISTORY.c.state).where(INTENT_HISTORY.c.intent_id == made.id)
        told: Sequence[str] = connection.execute(past.order_by(INTENT_HISTORY.c.seq)).scalars().all()
    assert told == ["INTENT", "SUBMITTING"]
    assert desk.problems() == ()


def test_a_reaction_in_two_steps_leaves_the_same_book_as_one_in_one(desk: Desk) -> None:
    holding(desk)
    made = react(desk)
    assert isinstance(made, Tracked)
    second = exit_of(key="gain/AAA/2")
    other = desk.store.reduce(second, contract(), token=desk.token, as_of=NOW)
    assert other is not None
    desk.store.submit(other, orders(first=60)(other), token=desk.token, as_of=NOW)
    tracked = desk.store.known().intents[-1]
    one_leg = replace(made.legs[0], key="", intent_id="", ref="", order_id=0)
    assert replace(tracked.legs[0], key="", intent_id="", ref="", order_id=0) == one_leg
    assert replace(tracked, id="", ref="", legs=()) == replace(made, id="", ref="", legs=())


def test_one_occasion_is_reacted_to_once(desk: Desk) -> None:
    holding(desk)
    assert isinstance(react(desk), Tracked)
    before = journal(desk)
    assert react(desk) is None
    assert journal(desk) == before


def watchdog(desk: Desk) -> SqlDispatch:
    """Another process on the same book, over a connection of its own."""
    return SqlDispatch(desk.engine, desk.book, client_id=WATCHDOG)


def foreign_order(desk: Desk, number: int = 900) -> str:
    made = watchdog(desk).reduce(exit_of(key=f"watchdog/{number}"), contract(), token=desk.token, as_of=NOW)
    assert made is not None
    watchdog(desk).submit(made, orders(first=number)(made), token=desk.token, as_of=NOW)
    return made


def foreign_execution(desk: Desk) -> None:
    known = watchdog(desk).known()
    sold = replace(known.executions["0001.01"], exec_id="0002.01", side="sell")
    told = Booked(sold, known.intents[0].legs[0].key, known.intents[0].id)
    watchdog(desk).apply([told], token=desk.token, as_of=NOW)


def foreign_fee(desk: Desk) -> None:
    watchdog(desk).apply([FeeBooked(Commission("0001.01", Decimal("1.00")))], token=desk.token, as_of=NOW)


def foreign_adoption(desk: Desk) -> None:
    there = HeldPosition("DU1234567", "BBB", contract("BBB").con_id, Decimal(3), Decimal(50))
    watchdog(desk).apply([Adopted(there, Decimal(3), "by hand")], token=desk.token, as_of=NOW)


@pytest.mark.fault(9)
@pytest.mark.parametrize("act", [foreign_order, foreign_execution, foreign_fee, foreign_adoption])
def test_what_somebody_else_did_behind_the_picture_stops_the_reaction_until_it_is_read(
    desk: Desk, act: Callable[[Desk], object]
) -> None:
    holding(desk)
    act(desk)
    before = journal(desk)
    assert react(desk) == "stale"
    assert journal(desk) == before
    desk.store.known()
    assert isinstance(react(desk), Tracked)


def test_who_never_read_the_book_does_not_react_on_it(desk: Desk) -> None:
    told = SqlDispatch(desk.engine, desk.book, client_id=CLIENT)
    assert told.reduce_and_submit(exit_of(), contract(), orders(), token=desk.token, as_of=NOW) == "stale"


def test_own_bookings_do_not_make_the_picture_stale_and_do_not_hide_those_of_others(desk: Desk) -> None:
    holding(desk)
    desk.apply(FeeBooked(Commission("0001.01", Decimal("1.00"))))
    assert isinstance(react(desk), Tracked)
    foreign_order(desk)
    desk.apply(executed(desk.submitted("BBB", first_id=70, slot="10:00"), exec_id="0009.01"))
    assert react(desk, exit_of(key="gain/AAA/2"), orders(first=80)) == "stale"


def test_an_order_of_the_watchdog_that_ended_beside_a_new_one_is_still_noticed(desk: Desk) -> None:
    """As many orders as before are open, and they are others."""
    holding(desk)
    ended = foreign_order(desk, 900)
    desk.store.known()
    watchdog(desk).apply([LegChanged(f"{ended}-exit", "cancelled")], token=desk.token, as_of=NOW)
    foreign_order(desk, 901)
    assert react(desk) == "stale"


@pytest.mark.fault(12)
def test_who_lost_the_lease_writes_nothing(desk: Desk) -> None:
    holding(desk)
    before, old = journal(desk), desk.token
    desk.grant()
    with pytest.raises(LeaseLost):
        desk.store.reduce_and_submit(exit_of(), contract(), orders(), token=old, as_of=NOW)
    assert journal(desk) == before
    ended = Desk(desk.engine)
    ended.store.known()
    with pytest.raises(LeaseLost):
        ended.store.reduce_and_submit(
            exit_of(), contract(), orders(), token=ended.token, as_of=NOW + timedelta(days=400)
        )


def test_what_cannot_be_ordered_takes_the_intent_back_with_it(desk: Desk) -> None:
    holding(desk)
    before = journal(desk)
    impossible: Sequence[LegsOf] = (lambda _: (), orders(sizes=(0,)), orders(first=0))
    for legs in impossible:
        with pytest.raises(PermanentFailure):
            react(desk, legs=legs)
    with pytest.raises(PermanentFailure, match="another symbol's"):
        desk.store.reduce_and_submit(exit_of(), contract("BBB"), orders(), token=desk.token, as_of=NOW)
    assert journal(desk) == before
    assert isinstance(react(desk), Tracked)


def test_reactions_that_went_out_are_noted_together(desk: Desk) -> None:
    holding(desk)
    made = [react(desk, exit_of(key=f"gain/AAA/{n}", quantity=2), orders(sizes=(2,), first=50 + n)) for n in range(3)]
    ids = [each.id for each in made if isinstance(each, Tracked)]
    assert len(ids) == 3
    desk.store.sent_together(ids, 4_711, as_of=later(1))
    with reading(desk.engine) as connection:
        query = sa.select(INTENT_STATES.c.sent_bytes).where(INTENT_STATES.c.intent_id.in_(ids))
        assert connection.execute(query).scalars().all() == [4_711] * 3
    with pytest.raises(PermanentFailure, match="no intent on its way"):
        desk.store.sent_together([*ids, "nobody"], 1, as_of=later(2))


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A book in a file that many examples share."""
    engine = open_ledger(tmp_path_factory.mktemp("lone") / "desk.sqlite", durability="NORMAL")
    yield Desk(engine)
    engine.dispose()


@settings(max_examples=25, deadline=None)
@given(
    symbol=st.sampled_from(["AAA", "BRK.B", "ÄÖ"]),
    sizes=st.lists(st.integers(1, 500_000), min_size=1, max_size=3),
    side=st.sampled_from(["sell", "buy"]),
    limit=st.none() | st.decimals("0.01", "99999", places=2).map(str),
)
def test_what_a_reaction_returns_is_what_the_ledger_knows(
    lone: Desk, symbol: str, sizes: list[int], side: Side, limit: str | None
) -> None:
    before = lone.store.known()
    first = lone.store.newest_order_id(CLIENT) + 1
    total = sum(sizes) if sum(sizes) <= 1_000_000 else 1_000_000
    wanted = exit_of(symbol, total if side == "sell" else -total, key=f"gain/{symbol}/{first}")
    made = react(lone, wanted, orders(symbol, sizes, first, side, limit))
    assert isinstance(made, Tracked)
    assert replace(before, intents=(*before.intents, made)) == lone.store.known()
