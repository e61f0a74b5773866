"""The ledger port on real databases: what is stored comes back, once, and whole or not at all."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.ledger.engine import reading
from resources.ledger.schema import DECISIONS, FILLS, HALTS, INTENTS, ORDERS, POSITIONS, SIGNATURES
from resources.ledger.store import SqlLedger
from tests.resources.ledger.entries import DAYS, EVER, at, close, decided, decision, fill, intent, order, paid
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DuplicateDecision, PermanentFailure
from trading_assets.execution.model import Book, Position
from trading_assets.execution.ports import Intent, SessionClose
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Ruling, Verdict


def count(engine: sa.Engine, table: sa.Table) -> int:
    """Rows of a table."""
    with engine.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


# Decisions


def test_a_decision_comes_back_with_its_intents_and_orders(book: SqlLedger) -> None:
    wanted, entry, stop = decided(book, DAYS[0])
    with book.session() as ledger:
        assert ledger.decisions(*EVER) == [decision(DAYS[0])]
        assert ledger.intents(DAYS[0]) == [wanted]
        assert ledger.orders_placed(*EVER) == [(entry, wanted), (stop, wanted)]


def test_a_slot_is_decided_once(book: SqlLedger, engine: sa.Engine) -> None:
    decided(book, DAYS[0], "AAA")
    with pytest.raises(DuplicateDecision, match=f"slot 09:30 of {DAYS[0]} is decided already in book desk"):
        decided(book, DAYS[0], "BBB")
    assert [count(engine, table) for table in (DECISIONS, INTENTS, ORDERS)] == [1, 1, 2]


def test_other_slots_sessions_and_books_are_other_decisions(book: SqlLedger, engine: sa.Engine) -> None:
    decided(book, DAYS[0])
    decided(book, DAYS[0], slot="10:00")
    decided(book, DAYS[1])
    with SqlLedger(engine, "other").session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [], [])
        assert ledger.decisions(*EVER) == [decision(DAYS[0])]
        assert ledger.intents(DAYS[9]) == []
    with book.session() as ledger:
        order_of = [(each.session, each.slot) for each in ledger.decisions(*EVER)]
    assert order_of == [(DAYS[0], "09:30"), (DAYS[0], "10:00"), (DAYS[1], "09:30")]


def test_a_decision_to_do_nothing_is_stored(book: SqlLedger) -> None:
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [], [])
        assert len(ledger.decisions(*EVER)) == 1


def test_an_intent_may_have_no_order(book: SqlLedger) -> None:
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [intent(DAYS[0])], [])
        assert len(ledger.intents(DAYS[0])) == 1
        assert ledger.orders_placed(*EVER) == []


def test_an_order_without_its_intent_is_refused_and_not_dropped(book: SqlLedger, engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="(?i)foreign key"), book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [], [order(intent(DAYS[0]))])
    assert count(engine, DECISIONS) == 0


def test_an_exception_in_the_block_takes_back_everything(book: SqlLedger, engine: sa.Engine) -> None:
    wanted = intent(DAYS[0])

    def decide_and_stumble() -> None:
        with book.session() as ledger:
            ledger.add_decision(decision(DAYS[0]), [], [wanted], [order(wanted)])
            raise KeyError("a bug after the ledger was written")

    with pytest.raises(KeyError):
        decide_and_stumble()
    assert [count(engine, table) for table in (DECISIONS, INTENTS, ORDERS)] == [0, 0, 0]
    decided(book, DAYS[0])


def test_one_idea_is_one_intent(book: SqlLedger, engine: sa.Engine) -> None:
    wanted = intent(DAYS[0])
    twice = replace(wanted, id="another id for the same slot, strategy and symbol")
    with pytest.raises(sa.exc.IntegrityError, match="(?i)unique"), book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), [], [wanted, twice], [])
    assert count(engine, INTENTS) == 0


def test_the_newest_entry_of_each_symbol_is_found(book: SqlLedger) -> None:
    decided(book, DAYS[0], "AAA")
    newer, _, _ = decided(book, DAYS[1], "AAA")
    other, _, _ = decided(book, DAYS[2], "BBB")
    leaving = intent(DAYS[3], "AAA", action="exit")
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[3]), [], [leaving], [])
        assert ledger.entries_of(["AAA", "BBB", "CCC"]) == {"AAA": newer, "BBB": other}
        assert ledger.entries_of([]) == {}


def test_reading_is_bounded_by_sessions(book: SqlLedger) -> None:
    stored: list[Intent] = [decided(book, day)[0] for day in DAYS[:5]]
    with book.session() as ledger:
        assert ledger.intents(DAYS[2]) == stored[:3]
        assert [day.session for day in ledger.decisions(DAYS[1], DAYS[3])] == list(DAYS[1:4])
        assert {placed.session for placed, _ in ledger.orders_placed(DAYS[1], DAYS[3])} == set(DAYS[1:4])


# Signatures


def ruled(day: date, symbol: str, ruling: Ruling) -> tuple[TradePlan, Verdict]:
    """A plan and what the risk gate said of it."""
    wanted = intent(day, symbol)
    quantity = {"approve": 10, "shrink": 7, "veto": 0}[ruling]
    return wanted.plan, wanted.verdict.model_copy(update={"ruling": ruling, "quantity": quantity})


def test_every_ruling_is_signed_in_the_decisions_transaction_vetoes_too(book: SqlLedger, engine: sa.Engine) -> None:
    judged = [ruled(DAYS[0], "AAA", "approve"), ruled(DAYS[0], "BBB", "veto"), ruled(DAYS[0], "CCC", "shrink")]
    with book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), judged, [], [])
    with reading(engine) as connection:
        rows = connection.execute(sa.select(SIGNATURES).order_by(SIGNATURES.c.seq)).all()
    assert [(row.ruling, row.quantity) for row in rows] == [("approve", 10), ("veto", 0), ("shrink", 7)]
    for row, (plan, verdict) in zip(rows, judged, strict=True):
        assert (row.book, row.session, row.slot, row.signer) == ("desk", DAYS[0], "09:30", "risk_gate")
        assert (row.plan_id, row.plan_digest) == (plan.id, plan.digest)
        assert Verdict.model_validate_json(row.verdict) == verdict
        assert datetime.fromisoformat(row.at) == at(DAYS[0])


def test_a_signer_rules_once_on_a_plan(book: SqlLedger, engine: sa.Engine) -> None:
    twice = [ruled(DAYS[0], "AAA", "approve"), ruled(DAYS[0], "AAA", "veto")]
    with pytest.raises(sa.exc.IntegrityError, match="(?i)unique"), book.session() as ledger:
        ledger.add_decision(decision(DAYS[0]), twice, [], [])
    assert [count(engine, table) for table in (DECISIONS, SIGNATURES)] == [0, 0]


def test_a_slot_that_is_decided_already_leaves_the_rest_of_the_transaction_usable(
    book: SqlLedger, engine: sa.Engine
) -> None:
    """PostgreSQL refuses whatever follows a broken constraint, so the slot is claimed without breaking one."""
    decided(book, DAYS[0])
    with book.session() as ledger:
        with pytest.raises(DuplicateDecision):
            ledger.add_decision(decision(DAYS[0]), [ruled(DAYS[0], "BBB", "veto")], [], [])
        ledger.add_halt("still here", as_of=at(DAYS[0]))
    assert [count(engine, table) for table in (DECISIONS, SIGNATURES, HALTS)] == [1, 1, 1]


# Positions


def shown(engine: sa.Engine, book: str = "desk") -> list[tuple[object, ...]]:
    """What `positions` says of a book."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(POSITIONS).where(POSITIONS.c.book == book).order_by(POSITIONS.c.symbol))
        return [(row.session, row.symbol, row.quantity, row.cost, row.price) for row in rows]


def held(day: date, **quantities: int) -> SessionClose:
    """The book after a session with some shares of each symbol, bought at 10 and worth 11.0001."""
    positions = {symbol: Position(symbol, shares, Decimal(10) * shares) for symbol, shares in quantities.items()}
    prices = dict.fromkeys(quantities, Decimal("11.0001"))
    return SessionClose(day, Book(Decimal(1000), positions), prices, Decimal(0), Decimal(0), Decimal(0))


def test_positions_are_those_of_the_newest_close(book: SqlLedger, engine: sa.Engine) -> None:
    for day, quantities in ((DAYS[0], {"AAA": 7}), (DAYS[1], {"AAA": 9, "BBB": 1}), (DAYS[2], {"BBB": 1})):
        with book.session() as ledger:
            ledger.add_settlement(held(day, **quantities), [], [])
        expected = [
            (day, symbol, shares, Decimal(10) * shares, Decimal("11.0001")) for symbol, shares in quantities.items()
        ]
        assert shown(engine) == expected
    with book.session() as ledger:
        ledger.add_settlement(held(DAYS[3]), [], [])
    assert shown(engine) == []


def test_a_session_that_is_settled_late_does_not_move_the_positions_back(book: SqlLedger, engine: sa.Engine) -> None:
    with book.session() as ledger:
        ledger.add_settlement(held(DAYS[2], AAA=2), [], [])
        ledger.add_settlement(held(DAYS[1], AAA=1), [], [])
    with SqlLedger(engine, "other").session() as other:
        other.add_settlement(held(DAYS[0], CCC=3), [], [])
    assert [row[:3] for row in shown(engine)] == [(DAYS[2], "AAA", 2)]
    assert [row[:3] for row in shown(engine, "other")] == [(DAYS[0], "CCC", 3)]


def test_a_rewound_backtest_shows_the_positions_of_the_close_that_it_goes_back_to(engine: sa.Engine) -> None:
    backtest = SqlLedger(engine, "backtest")
    with backtest.session() as ledger:
        for number, day in enumerate(DAYS[:3], start=1):
            ledger.add_settlement(held(day, AAA=number), [], [])
    for first, quantities in ((DAYS[2], [2]), (DAYS[1], [1]), (DAYS[0], [])):
        with backtest.session() as ledger:
            ledger.rewind(first)
        assert [row[2] for row in shown(engine, "backtest")] == quantities


# Settlements


def test_a_settlement_comes_back_to_the_last_place(book: SqlLedger) -> None:
    _, entry, stop = decided(book, DAYS[0])
    settled = close(DAYS[0], orders=[entry, stop])
    with book.session() as ledger:
        ledger.add_settlement(settled, [fill(entry)], [paid(DAYS[0])])
    with book.session() as ledger:
        assert ledger.close_of(DAYS[0]) == settled
        assert ledger.fills(DAYS[0]) == [fill(entry)]
        assert ledger.dividends(DAYS[0]) == [paid(DAYS[0])]
        assert ledger.equity_history(DAYS[1]) == [Decimal("99707.1241")]
        back = ledger.close_of(DAYS[0])
    assert back is not None
    assert str(back.book.positions["AAA"].cost) == "703.5343"


def test_settling_a_session_twice_changes_nothing(book: SqlLedger, engine: sa.Engine) -> None:
    _, entry, _ = decided(book, DAYS[0])
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[0]), [fill(entry)], [paid(DAYS[0])])
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[0], "1.0000"), [fill(entry), fill(entry, 2)], [paid(DAYS[0], "BBB")])
    with book.session() as ledger:
        assert ledger.closes(*EVER) == [close(DAYS[0])]
        assert ledger.dividends(DAYS[9]) == [paid(DAYS[0])]
    assert count(engine, FILLS) == 1


def test_an_execution_is_booked_once_whatever_session_claims_it(book: SqlLedger) -> None:
    _, entry, _ = decided(book, DAYS[0])
    with book.session() as ledger:
        ledger.add_settlement(close(DAYS[0]), [fill(entry)], [])
    with pytest.raises(sa.exc.IntegrityError, match="(?i)unique"), book.session() as ledger:
        ledger.add_settlement(close(DAYS[1]), [fill(entry)], [])
    with book.session() as ledger:
        assert ledger.close_of(DAYS[1]) is None


def test_a_fill_without_its_order_is_refused(book: SqlLedger) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="(?i)foreign key"), book.session() as ledger:
        ledger.add_settlement(close(DAYS[0]), [fill(order(intent(DAYS[0])))], [])


def test_the_latest_close_is_strictly_before_the_day(book: SqlLedger) -> None:
    with book.session() as ledger:
        for day in (DAYS[2], DAYS[0], DAYS[1]):
            ledger.add_settlement(close(day), [], [])
        assert ledger.latest_close(DAYS[0]) is None
        assert ledger.latest_close(DAYS[2]) == close(DAYS[1])
        assert [each.session for each in ledger.closes(DAYS[1], DAYS[9])] == [DAYS[1], DAYS[2]]


# Halts


def test_the_oldest_unanswered_halt_is_open_until_it_is_acknowledged(book: SqlLedger) -> None:
    with book.session() as ledger:
        assert ledger.open_halt() is None
        ledger.add_halt("daily loss", as_of=at(DAYS[0]))
        ledger.add_halt("drawdown", as_of=at(DAYS[1]))
        first = ledger.open_halt()
        assert first is not None
        assert (first.cause, first.at) == ("daily loss", at(DAYS[0]))
        ledger.acknowledge(first.id, "looked into it", as_of=at(DAYS[1]))
        second = ledger.open_halt()
        assert second is not None
        assert second.cause == "drawdown"
        ledger.acknowledge(second.id, "looked into it too", as_of=at(DAYS[1]))
        assert ledger.open_halt() is None


def test_only_the_open_halt_of_this_book_can_be_acknowledged_and_only_with_a_reason(
    book: SqlLedger, engine: sa.Engine
) -> None:
    """F108: the acknowledgement names the halt."""
    with book.session() as ledger:
        with pytest.raises(PermanentFailure, match="no open halt"):
            ledger.acknowledge(1, "eager", as_of=at(DAYS[0]))
        ledger.add_halt("daily loss", as_of=at(DAYS[0]))
        halt = ledger.open_halt()
        assert halt is not None
        for halt_id, reason in ((halt.id + 1, "wrong id"), (halt.id, " \n")):
            with pytest.raises(PermanentFailure, match=f"halt {halt.id}: daily loss"):
                ledger.acknowledge(halt_id, reason, as_of=at(DAYS[0]))
    with SqlLedger(engine, "other").session() as other:
        assert other.open_halt() is None
        with pytest.raises(PermanentFailure, match="no open halt"):
            other.acknowledge(halt.id, "not mine", as_of=at(DAYS[0]))


def test_equity_counts_anew_from_the_session_of_the_last_acknowledgement(book: SqlLedger) -> None:
    with book.session() as ledger:
        for position in range(4):
            ledger.add_settlement(close(DAYS[position], f"{position}.0000"), [], [])
        ledger.add_halt("drawdown", as_of=at(DAYS[2]))
        assert len(ledger.equity_history(DAYS[4])) == 4
        halt = ledger.open_halt()
        assert halt is not None
        ledger.acknowledge(halt.id, "seen", as_of=at(DAYS[2]))
        assert ledger.equity_history(DAYS[4]) == [
            close(day, f"{n}.0000").equity for n, day in ((2, DAYS[2]), (3, DAYS[3]))
        ]
        assert len(ledger.equity_history(DAYS[3])) == 1


def test_acknowledgements_are_ordered_by_instant_and_not_by_the_letters_of_their_offset(book: SqlLedger) -> None:
    """20:00 in New York is later than 23:30 UTC of the same date, though its letters come first."""
    day = DAYS[0]
    with book.session() as ledger:
        ledger.add_settlement(close(day), [], [])
        for moment in (
            datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC),
            datetime(day.year, day.month, day.day, 20, 0, tzinfo=NEW_YORK),
        ):
            ledger.add_halt("drawdown", as_of=moment)
            halt = ledger.open_halt()
            assert halt is not None
            assert halt.at == moment
            ledger.acknowledge(halt.id, "seen", as_of=moment)
        assert ledger.equity_history(DAYS[9]) == [], "the newest acknowledgement is of the next day, UTC"


# Rewinding


def test_a_backtest_forgets_everything_from_a_session_on(engine: sa.Engine) -> None:
    book = SqlLedger(engine, "backtest")
    for day in DAYS[:4]:
        _, entry, _ = decided(book, day)
        with book.session() as ledger:
            ledger.add_settlement(close(day), [fill(entry)], [paid(day)])
            ledger.add_halt("drawdown", as_of=at(day))
    with book.session() as ledger:
        ledger.rewind(DAYS[2])
    with book.session() as ledger:
        for rows in (ledger.decisions(*EVER), ledger.intents(DAYS[9]), ledger.fills(DAYS[9]), ledger.closes(*EVER)):
            assert [row.session for row in rows] == [DAYS[0], DAYS[1]]
        assert len(ledger.orders_placed(*EVER)) == 4
        assert len(ledger.dividends(DAYS[9])) == 2
    assert count(engine, SIGNATURES) == 2
    decided(book, DAYS[2])


def test_rewinding_reopens_a_halt_that_was_acknowledged_later(engine: sa.Engine) -> None:
    book = SqlLedger(engine, "backtest")
    with book.session() as ledger:
        ledger.add_halt("early", as_of=at(DAYS[0]))
        early = ledger.open_halt()
        assert early is not None
        ledger.acknowledge(early.id, "seen later", as_of=at(DAYS[3]))
        ledger.add_halt("late", as_of=at(DAYS[2]))
        late = ledger.open_halt()
        assert late is not None
        ledger.acknowledge(late.id, "answered with a stamp before the halt", as_of=at(DAYS[0]))
        ledger.rewind(DAYS[1])
        assert ledger.open_halt() == early


def test_the_desk_is_never_rewound(book: SqlLedger) -> None:
    decided(book, DAYS[0])
    with pytest.raises(PermanentFailure, match="only a backtest's book"), book.session() as ledger:
        ledger.rewind(DAYS[0])
    with book.session() as ledger:
        assert len(ledger.decisions(*EVER)) == 1


def test_rewinding_a_backtest_leaves_other_books_of_the_file(engine: sa.Engine, book: SqlLedger) -> None:
    decided(book, DAYS[0])
    with book.session() as ledger:
        ledger.add_halt("desk", as_of=at(DAYS[0]))
    with SqlLedger(engine, "backtest").session() as backtest:
        backtest.rewind(DAYS[0] - timedelta(days=1))
    with book.session() as ledger:
        assert len(ledger.orders_placed(*EVER)) == 2
        assert ledger.open_halt() is not None
