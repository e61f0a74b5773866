"""Report cards: the decision is graded and not its luck, and a lesson names neither symbol nor day nor price."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from tests.resources.ledger.entries import DAYS, at, close, decided, decision, fill, order, paid
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.cards import POINTS_MAX, cards, points_of, trips_closed_in
from trading_assets.execution.model import Fill, Side
from trading_assets.execution.ports import Intent
from trading_assets.execution.round_trips import Origin, RoundTrip, round_trips
from trading_assets.plans.model import TradePlan
from trading_assets.reasoning.masking import mask
from trading_assets.signatures.model import Verdict
from trading_assets.theses.memory.critic import critic_inputs
from trading_assets.theses.memory.model import Lesson

DAY = DAYS[0]
CLOSE = XNYS.session(DAYS[3]).close


def plan(**changes: object) -> TradePlan:
    """A breakout that offers two for one, on which everybody agreed."""
    values: dict[str, object] = {
        "session": DAY,
        "slot": "09:30",
        "as_of": at(DAY),
        "action": "enter",
        "strategy": "momentum_breakout",
        "symbol": "AAPL",
        "regime": "trending_bull",
        "quantity": 10,
        "reference": Decimal("99.50"),
        "entry": Decimal(100),
        "stop": Decimal(95),
        "target": Decimal(110),
        "thesis_id": "t1",
        "confidence": 0.7,
        "reasons": ("it broke out",),
        "votes": {"momentum-persona": 0.9, "contrarian-persona": -0.2},
        "consensus": 0.6,
    }
    return TradePlan(**(values | changes))  # type: ignore[arg-type]


def opened(of: TradePlan) -> Intent:
    verdict = Verdict(
        signer="risk_gate", plan_id=of.id, plan_digest=of.digest, ruling="approve", quantity=of.quantity, breaches=()
    )
    return Intent("intent1", of.session, of.slot, of, verdict, of.quantity, "f" * 64)


def trip(of: TradePlan, pnl: str = "-50", exit_reason: str = "stop", **changes: object) -> RoundTrip:
    """How it went."""
    made = RoundTrip(
        session=DAYS[3],
        trade_id="intent1",
        symbol=of.symbol,
        side=of.side,
        strategy=of.strategy,
        regime=of.regime,
        opened=DAY,
        quantity=10,
        entry_price=Decimal(100),
        exit_price=Decimal(95),
        stop_price=of.stop or Decimal(95),
        fees=Decimal("0.70"),
        dividends=Decimal(0),
        pnl=Decimal(pnl),
        return_fraction=float(Decimal(pnl) / 1000),
        sessions_held=4,
        exit_reason=exit_reason,
        knowable_at=CLOSE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def card(of: TradePlan, pnl: str = "-50", exit_reason: str = "stop", **changes: object) -> Lesson:
    (made,) = cards([trip(of, pnl, exit_reason, **changes)], {"intent1": opened(of)}, at=CLOSE)
    return made


# What a card says


def test_a_card_holds_the_trade_and_the_context_of_its_decision() -> None:
    made = card(plan())
    assert (made.id, made.session, made.resolved_at, made.opened) == ("intent1", DAYS[3], CLOSE, DAY)
    assert (made.symbol, made.strategy, made.regime, made.direction) == (
        "AAPL",
        "momentum_breakout",
        "trending_bull",
        "long",
    )
    assert (made.confidence, made.thesis_id, made.votes) == (0.7, "t1", plan().votes)
    assert (made.pnl, made.return_fraction, made.r_multiple) == (Decimal(-50), -0.05, -1.0)
    assert (made.grade, made.author, made.leakage) == ("A", "rules", "clean")
    assert made.lesson == (
        "A long momentum breakout trade in a trending bull regime made -1.00 R (-5.0%) in 4 sessions and ended at its stop. "
        "The plan offered 2.0 R for 1 R of risk at confidence 0.70, with a consensus of +0.60 and 1 of 2 votes against it. "
        "The decision was sound and the loss was its price: one such loss is no reason to change the setup."
    )


def test_a_short_earns_r_when_the_price_falls() -> None:
    short = plan(side="short", stop=Decimal(105), target=Decimal(90))
    made = card(short, "75", "target")
    assert (made.direction, made.r_multiple) == ("short", 1.5)


def test_an_entry_beyond_its_own_stop_has_no_multiple() -> None:
    made = card(plan(), entry_price=Decimal("94.90"))
    assert made.r_multiple is None
    assert "made -5.0% in" in made.lesson


def test_a_plan_that_nobody_voted_on_says_so() -> None:
    assert "nobody voted on it" in card(plan(votes={}, consensus=None)).lesson


# Grades


@settings(max_examples=25, deadline=None)
@given(one=st.integers(-500, 500), two=st.integers(-500, 500))
def test_what_a_trade_earned_has_no_part_in_its_grade(one: int, two: int) -> None:
    assert card(plan(), str(one)).grade == card(plan(), str(two)).grade


@pytest.mark.parametrize(
    ("changes", "exit_reason", "grade"),
    [
        ({}, "target", "A"),
        ({"consensus": 0.4, "confidence": 0.6}, "stop", "B"),
        ({"consensus": 0.1, "target": Decimal("107.5"), "confidence": 0.6}, "close", "C"),
        ({"consensus": 0.1, "target": Decimal("107.5"), "confidence": 0.5}, "exit", "D"),
        ({"consensus": -0.5, "target": Decimal(101), "confidence": 0.5}, "exit", "F"),
    ],
)
def test_a_grade_is_what_the_decision_earned(changes: dict[str, object], exit_reason: str, grade: str) -> None:
    assert card(plan(**changes), "10", exit_reason).grade == grade


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({"target": Decimal(104)}, {"target": Decimal(112)}),
        ({"consensus": 0.1}, {"consensus": 0.9}),
        ({"confidence": 0.5}, {"confidence": 0.9}),
    ],
)
def test_each_part_of_a_decision_counts(changes: dict[str, object], better: dict[str, object]) -> None:
    worse, more = (sum(points_of(plan(**some), "exit").values()) for some in (changes, better))
    assert worse < more <= POINTS_MAX


def test_a_weak_decision_is_told_its_weakest_part() -> None:
    assert "wait for more in its agreement" in card(plan(consensus=-0.4, target=Decimal(101)), "-50", "exit").lesson
    assert "do not size up on it" in card(plan(consensus=-0.4, target=Decimal(101)), "50", "exit").lesson


# What it does not say

# Four letters in capitals may be a ticker; R is the planned risk.
ANECDOTE = re.compile(r"\d{4}|\$|USD|[A-Z]{2,}|\d+\.\d{3,}")


@settings(max_examples=25, deadline=None)
@given(
    pnl=st.decimals(-5000, 5000, places=4),
    entry=st.decimals(96, 500, places=2),
    side=st.sampled_from(("long", "short")),
    exit_reason=st.sampled_from(("stop", "target", "close", "exit")),
    consensus=st.none() | st.floats(-1, 1),
    confidence=st.floats(0, 1),
    held=st.integers(1, 400),
)
def test_a_lesson_names_no_symbol_no_day_and_no_price(
    pnl: Decimal, entry: Decimal, side: str, exit_reason: str, consensus: float | None, confidence: float, held: int
) -> None:
    stop, target = (Decimal(95), entry * 2) if side == "long" else (entry * 2, Decimal(40))
    decided_on = plan(entry=entry, stop=stop, target=target, side=side, consensus=consensus, confidence=confidence)
    made = card(decided_on, str(pnl), exit_reason, entry_price=entry, sessions_held=held)
    without_r = re.sub(r"[+-]?\d+\.\d+ R\b|\([+-]\d+\.\d%\)", "", made.lesson)
    assert not ANECDOTE.search(without_r), made.lesson
    assert "AAPL" not in made.lesson
    assert made.lesson.count(". ") <= 3
    assert mask(critic_inputs(made)).inputs == critic_inputs(made), "masking finds nothing to hide"


# When


def test_a_card_is_not_written_before_its_trade_is_over() -> None:
    with pytest.raises(PermanentFailure, match="before its trade is over"):
        cards([trip(plan())], {"intent1": opened(plan())}, at=CLOSE - timedelta(seconds=1))


def test_a_trade_without_its_opening_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="opening intent is not known"):
        cards([trip(plan())], {}, at=CLOSE)


# Which trips a session closed


@pytest.fixture
def book(tmp_path: Path) -> SqlLedger:
    return SqlLedger(open_ledger(tmp_path / "backtest.sqlite", durability="NORMAL"), "backtest")


def settle(book: SqlLedger, position: int, fills: Sequence[Fill]) -> None:
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[position]), fills, [])


def leaving(of: Intent, position: int, role: str = "stop", price: str = "95.25") -> Fill:
    """The fill that ends the trade of `entries.intent`."""
    ended = replace(fill(order(of, role), price=price), session=DAYS[position])
    return replace(ended, id=f"{ended.id}-{position}", at=at(DAYS[position]))


def test_a_session_closes_the_trips_that_ended_in_it(book: SqlLedger) -> None:
    first, entry, _ = decided(book, DAYS[0])
    settle(book, 0, [fill(entry)])
    settle(book, 1, [leaving(first, 1)])
    second, entry, _ = decided(book, DAYS[2])
    settle(book, 2, [fill(entry)])
    settle(book, 3, [leaving(second, 3)])
    with book.reading() as ledger:
        found = [trips_closed_in(ledger, (), DAYS[position]) for position in range(5)]
    assert [[trip.trade_id for trip in trips] for trips, _ in found] == [[], [first.id], [], [second.id], []]
    trips, intents = found[3]
    assert intents == {second.id: second}
    (made,) = cards(trips, intents, at=XNYS.session(DAYS[3]).close)
    assert (made.id, made.symbol, made.opened, made.sessions_held) == (second.id, "AAA", DAYS[2], 2)


def test_a_session_that_reduced_nothing_reads_nothing(book: SqlLedger) -> None:
    _, entry, _ = decided(book, DAYS[0])
    settle(book, 0, [fill(entry)])
    with book.reading() as ledger:
        assert ledger.trade_history(DAYS[0]) == ((), (), ())
        assert trips_closed_in(ledger, (), DAYS[0]) == ((), {})


def test_only_the_symbols_that_a_session_touched_are_read(book: SqlLedger) -> None:
    first, entry, _ = decided(book, DAYS[0])
    other, of_other, _ = decided(book, DAYS[0], "BBB", slot="10:00")
    settle(book, 0, [fill(entry), replace(fill(of_other), symbol="BBB")])
    settle(book, 1, [leaving(first, 1)])
    with book.reading() as ledger:
        fills, _, intents = ledger.trade_history(DAYS[1])
    assert {each.symbol for each in fills} == {"AAA"}
    assert [each.id for each in intents] == [first.id]
    assert other.id != first.id


def test_a_position_that_a_split_turned_into_cash_is_a_closed_trip(book: SqlLedger) -> None:
    first, entry, _ = decided(book, DAYS[0])
    settle(book, 0, [fill(entry)])
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[1]), [], [paid(DAYS[1], amount="700.00")])
    split = {"symbol": "AAA", "session": DAYS[1], "kind": "split", "ratio": 0.1, "amount": 0.0}
    with book.reading() as ledger:
        trips, _ = trips_closed_in(ledger, [split, {**split, "symbol": "BBB"}], DAYS[1])
    assert [(trip.trade_id, trip.exit_reason) for trip in trips] == [(first.id, "exit")]


def test_a_split_counts_from_its_own_day_on(book: SqlLedger) -> None:
    first, entry, _ = decided(book, DAYS[0])
    settle(book, 0, [fill(entry)])
    settle(book, 2, [replace(leaving(first, 2), quantity=14)])
    split = {"symbol": "AAA", "session": DAYS[1], "kind": "split", "ratio": 2.0, "amount": 0.0}
    with book.reading() as ledger:
        (closed,), intents = trips_closed_in(ledger, [split, {**split, "session": DAYS[3]}], DAYS[2])
    assert intents == {first.id: first}
    assert (closed.quantity, closed.stop_price) == (14, Decimal("47.625"))


@dataclass(frozen=True)
class Dealt:
    """One trade: symbol, sessions of its entry and its exit (None: still open), shares, and whether it is a short sale."""

    symbol: str
    opened: int
    ended: int | None
    quantity: int
    short: bool


@st.composite
def dealings(draw: st.DrawFn) -> list[Dealt]:
    """Trades one after the other in each of two symbols; the next may open in the session in which the last one ended."""
    found = []
    for symbol in ("AAA", "BBB"):
        day = 0
        while day < 8 and draw(st.booleans()):
            ended = draw(st.none() | st.integers(day, 9))
            found.append(Dealt(symbol, day, ended, draw(st.integers(1, 9)), draw(st.booleans())))
            if ended is None:
                break
            day = ended + draw(st.integers(0, 1))
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> sa.Engine:
    return open_ledger(tmp_path_factory.mktemp("dealings") / "desk.sqlite", durability="NORMAL")


NAMES = count()


@settings(max_examples=25, deadline=None)
@given(dealt=dealings(), splits=st.sets(st.sampled_from(("AAA", "BBB"))))
def test_session_by_session_the_same_trips_are_found_as_in_all_of_the_fills(
    engine: sa.Engine, dealt: list[Dealt], splits: set[str]
) -> None:
    """However little of the past each session reads; a symbol that was split long before is read whole."""
    name = f"book{next(NAMES)}"
    book, fills, intents = SqlLedger(engine, name), list[Fill](), dict[str, Intent]()
    for number, deal in enumerate(dealt):
        side, stop, target = ("short", 105, 90) if deal.short else ("long", 95, 110)
        terms = {"symbol": deal.symbol, "side": side, "stop": Decimal(stop), "target": Decimal(target)}
        wanted = replace(opened(plan(session=DAYS[deal.opened], slot=f"n{number}", **terms)), id=f"{name}-{number}")
        intents[wanted.id] = wanted
        fills += _fills(deal, wanted)
    with book.session() as ledger:
        for wanted in intents.values():
            placed = [replace(order(wanted, role), id=f"{wanted.id}-{role}") for role in ("entry", "stop")]
            ledger.add_decision(decision(wanted.session, wanted.slot), [], [wanted], placed)
    settled = [sorted((f for f in fills if f.session == day), key=lambda f: f.at) for day in DAYS[:10]]
    rows = [
        {"symbol": symbol, "session": DAYS[0] - timedelta(days=1), "kind": "split", "ratio": 2.0, "amount": 0.0}
        for symbol in sorted(splits)
    ]
    found: list[RoundTrip] = []
    for position, of_day in enumerate(settled):
        settle(book, position, of_day)
        with book.reading() as ledger:
            trips, openings = trips_closed_in(ledger, rows, DAYS[position])
        assert openings == {trip.trade_id: intents[trip.trade_id] for trip in trips}
        found += trips
    origins = {id_: Origin(i.plan.strategy, i.plan.regime, i.plan.stop or Decimal(0)) for id_, i in intents.items()}
    assert found == list(round_trips([f for of_day in settled for f in of_day], (), (), origins))


_SIDES: dict[bool, tuple[Side, Side]] = {False: ("buy", "sell"), True: ("sell", "buy")}


def _fills(deal: Dealt, wanted: Intent) -> list[Fill]:
    """The entry at the open, the exit half an hour later, each trade of a session after the one before it."""
    first, last = _SIDES[deal.short]
    moment = timedelta(hours=int(wanted.slot[1:]))
    entry = replace(
        fill(order(wanted)),
        id=f"{wanted.id}#1",
        order_id=f"{wanted.id}-entry",
        symbol=deal.symbol,
        side=first,
        quantity=deal.quantity,
        at=at(DAYS[deal.opened]) + moment,
    )
    if deal.ended is None:
        return [entry]
    day = DAYS[deal.ended]
    ended = replace(entry, id=f"{wanted.id}#2", order_id=f"{wanted.id}-stop", role="stop", side=last)
    return [entry, replace(ended, session=day, at=at(day) + moment + timedelta(minutes=30))]
