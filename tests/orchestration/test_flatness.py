"""Day strategies are flat after the close, in the book and at the broker, or the desk is halted until a person has looked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.desk import DESK, DeskResource
from resources.flatness import flatness_of, halt_unless_flat
from resources.ledger.bus import append_messages
from resources.ledger.dispatch import propose
from resources.ledger.engine import transaction
from resources.ledger.journal import append_entries
from resources.ledger.store import SqlLedgerSession
from resources.ledger.telling import Telling
from resources.notify.pages import LedgerPages
from tests.desk.at_a_broker import with_execution
from tests.resources.ledger.dispatching import Desk, bracket_of, executed, held, legs_of, seals_on, snapshot
from tests.resources.ledger.entries import DAYS, at, decision, intent
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.execution.assets import flatness_assets
from trading_assets.execution.flatness import FLATNESS, DayEntry, Told, day_entries, flatness_rows, violations
from trading_assets.execution.ports import Intent

DAY = DAYS[0]
SESSION = XNYS.session(DAY)
SPAN = Span(DAY, DAY)
AFTER = SESSION.close + timedelta(minutes=1)
ENTRY = DayEntry("AAA", "vwap_momentum", DAY)
QUANTITIES = st.integers(-3, 3).map(Decimal)


# The proof


@settings(deadline=None, max_examples=60)
@given(QUANTITIES, st.none() | QUANTITIES, st.integers(-60, 60), st.booleans())
def test_flat_is_what_book_and_broker_hold_nothing_of_and_unknown_is_not_flat(
    book: Decimal, broker: Decimal | None, seconds: int, asks: bool
) -> None:
    told = None if broker is None else Told(SESSION.close + timedelta(seconds=seconds), {"AAA": broker})
    [row] = flatness_rows(SESSION, [ENTRY], {"AAA": book}, told, asks_broker=asks)
    confirmed = told is not None and seconds >= 0 and broker == 0
    assert row["is_flat"] == (book == 0 and (confirmed or not asks))
    assert bool(row["why"]) != row["is_flat"]
    assert len(violations([row])) == (not row["is_flat"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["day", "swing", "nobody"]), st.integers(0, 4))))
def test_the_newest_entry_that_filled_says_whose_a_position_is(fills: list[tuple[str, str, int]]) -> None:
    plans = {"day": ("vwap_momentum", True), "swing": ("pullback", False)}
    filled = [(symbol, whose, DAY + timedelta(days=n)) for symbol, whose, n in sorted(fills, key=lambda f: f[2])]
    until = DAY + timedelta(days=3)
    found = {entry.symbol for entry in day_entries(filled, plans, until)}
    for symbol in "AB":
        known = [whose for name, whose, day in filled if name == symbol and day <= until and whose in plans]
        assert (symbol in found) == (bool(known) and known[-1] == "day")


def test_an_older_entry_is_told_of_only_while_something_of_it_is_left() -> None:
    old = replace(ENTRY, session=DAY - timedelta(days=3))
    fresh = Told(SESSION.close, {})
    assert flatness_rows(SESSION, [old], {}, fresh, asks_broker=True) == []
    [row] = flatness_rows(SESSION, [old], {"AAA": Decimal(2)}, fresh, asks_broker=True)
    assert row["why"] == "the book holds 2"


# At a broker


@pytest.fixture
def desk(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk's ledger after the close of a session, with orders that rest at a broker."""
    with_execution(tmp_path / "config", "broker: paper\n", monkeypatch)
    monkeypatch.setenv("DESK_CLOCK", AFTER.isoformat())
    return Desk(DeskResource().engine(DESK))


def bought(desk: Desk, *, for_the_day: bool = True) -> Intent:
    """Seven shares, bought at the open by a plan that ends with the session, or by one that does not."""
    wanted = intent(DAY)
    plan = wanted.plan.model_copy(update={"flat_by_close": for_the_day, "strategy": "vwap_momentum"})
    wanted = replace(wanted, plan=plan, verdict=wanted.verdict.model_copy(update={"plan_digest": plan.digest}))
    with transaction(desk.engine) as connection:
        telling = Telling(DESK)
        session = SqlLedgerSession(connection, DESK, telling)
        session.add_decision(decision(DAY), [(plan, wanted.verdict)], [wanted], bracket_of(intent(DAY)))
        telling.store(connection)
        entries, drafts = propose(connection, DESK, [wanted], as_of=at(DAY))
        append_entries(connection, entries)
        append_messages(connection, drafts)
    desk.store.seal(seals_on(wanted), as_of=at(DAY))
    desk.store.accept(wanted.id, token=desk.token, as_of=at(DAY))
    desk.store.submit(wanted.id, legs_of(intent(DAY)), token=desk.token, as_of=at(DAY))
    desk.apply(executed(wanted, at_instant=at(DAY)))
    return wanted


def sold(desk: Desk, wanted: Intent) -> None:
    desk.apply(executed(wanted, "0002.01", role="stop", side="sell", at_instant=at(DAY) + timedelta(hours=1)))


def tells(desk: Desk, shares: str, moment: datetime) -> None:
    """What the broker says it holds."""
    positions = [held("AAA", shares)] if shares != "0" else []
    desk.store.keep_snapshot(snapshot(*positions, at_instant=moment), token=desk.token, as_of=moment)


def rows() -> Sequence[Mapping[str, object]]:
    return flatness_of(DeskResource(), DESK, SPAN)


def test_what_was_sold_and_is_gone_at_the_broker_is_flat_and_halts_nothing(desk: Desk) -> None:
    sold(desk, bought(desk))
    tells(desk, "0", SESSION.close)
    [row] = rows()
    assert (row["symbol"], row["strategy"], row["is_flat"]) == ("AAA", "vwap_momentum", True)
    assert halt_unless_flat(DeskResource(), [dict(row)]) == ""
    assert desk.store.halts() == []


@pytest.mark.parametrize(
    ("sells", "shares", "seconds", "why"),
    [
        pytest.param(False, "7", 5, "the book holds 7; the broker holds 7", id="nobody sold"),
        pytest.param(True, "7", 5, "the broker holds 7", id="the broker still has them"),
        pytest.param(False, "0", 5, "the book holds 7", id="the book still has them"),
        pytest.param(True, "-7", 5, "the broker holds -7", id="sold twice"),
        pytest.param(True, "0", -1, "the broker has told nothing since the close", id="an old snapshot"),
    ],
)
def test_what_is_left_or_unknown_halts_the_desk_once_and_is_paged(
    desk: Desk, sells: bool, shares: str, seconds: int, why: str
) -> None:
    wanted = bought(desk)
    if sells:
        sold(desk, wanted)
    tells(desk, shares, SESSION.close + timedelta(seconds=seconds))
    [row] = rows()
    assert not row["is_flat"]
    assert str(row["why"]).startswith(why)
    for _ in range(2):
        assert why in halt_unless_flat(DeskResource(), [dict(row)])
    [halt] = desk.store.halts()
    assert "a day strategy is not flat after the close: AAA (vwap_momentum" in halt.cause
    [page] = LedgerPages(desk.engine, DESK).unanswered()
    assert page.severity == "critical"


def test_a_position_that_may_stay_is_none_of_its_business(desk: Desk) -> None:
    bought(desk, for_the_day=False)
    tells(desk, "7", SESSION.close)
    assert rows() == []


def test_an_older_session_is_judged_by_its_settlement_and_halts_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought(desk)
    tells(desk, "7", SESSION.close)
    [row] = rows()
    monkeypatch.setenv("DESK_CLOCK", (AFTER + timedelta(days=7)).isoformat())
    assert halt_unless_flat(DeskResource(), [dict(row)]) == ""
    with pytest.raises(DataNotReady, match="desk run postclose"):
        rows()


@pytest.mark.parametrize("flat", [True, False])
def test_the_asset_stores_its_rows_and_its_check_is_red_where_the_desk_is_halted(desk: Desk, flat: bool) -> None:
    wanted = bought(desk)
    if flat:
        sold(desk, wanted)
    tells(desk, "0" if flat else "7", SESSION.close)
    resource = DeskResource()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*flatness_assets(DESK)], partition_key=SESSION.key, resources={"desk": resource}, instance=instance
        )
    assert result.success, "the proof itself worked"
    [check] = result.get_asset_check_evaluations()
    assert check.passed == flat
    stored = resource.lake().read(FLATNESS, as_of=AFTER, first=DAY, last=DAY, lane=DESK)
    assert stored["is_flat"].to_list() == [flat]
    assert len(desk.store.halts()) == (not flat)


def test_a_date_without_any_day_strategy_has_no_row() -> None:
    assert flatness_rows(XNYS.session(date(2024, 7, 3)), [], {"AAA": Decimal(5)}, None, asks_broker=True) == []
