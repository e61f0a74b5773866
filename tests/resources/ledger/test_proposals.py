"""Proposed parameters on real databases: answered once, in force from the next session, told in the journal, never taken back."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from resources.ledger.engine import reading, transaction
from resources.ledger.journal import read_journal
from resources.ledger.proposals import SqlProposals, evidence_digest, tuned_of
from resources.ledger.records import ParameterChange, add_parameter_changes
from resources.ledger.schema import MESSAGES, PARAMETER_CHANGES, PARAMETER_PROPOSALS, PROPOSAL_ANSWERS
from resources.ledger.verify import verify_ledger
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.parameters import Parameters, Suggestion
from trading_assets.evaluation.suggestions import Proposed

NOW = datetime(2026, 11, 16, 22, 0, tzinfo=UTC)  # Monday, after the close
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
DAY = timedelta(days=1)
BASE = Parameters()


def book(engine: sa.Engine, base: Parameters = BASE) -> SqlProposals:
    return SqlProposals(engine, "desk", base)


def suggestion(name: str = "target_atr", after: Any = 3.6, **changed: Any) -> Suggestion:
    """One step from what is configured, unless something else is said."""
    fields: dict[str, Any] = {
        "before": getattr(BASE, name, None),
        "reason": "40 trades would have gained 3.10 USD each",
        "evidence": {"gain_usd": {"mean": 3.1, "low": 0.4, "high": 5.9}, "tried": 8},
        "observations": 40,
    }
    return Suggestion(name, after=after, **{**fields, **changed})


def proposed(engine: sa.Engine, *given: Suggestion, as_of: datetime = NOW, **changed: Any) -> tuple[Proposed, ...]:
    fields = {"session": MONDAY, "origin": "optimizer", "days_open": 10, **changed}
    return book(engine).propose(given or (suggestion(),), **fields, as_of=as_of)


def rows(engine: sa.Engine, table: sa.Table) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.seq)))


def everything(engine: sa.Engine) -> list[int]:
    return [len(rows(engine, each)) for each in (PARAMETER_PROPOSALS, PROPOSAL_ANSWERS, PARAMETER_CHANGES)]


def test_a_proposal_comes_back_as_it_was_made_and_moves_nothing(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    assert book(engine).proposals() == (made,)
    assert (made.before, made.after, made.state(MONDAY)) == (3.2, 3.6, "open")
    assert made.lapses == date(2026, 12, 1), "ten sessions on, with Thanksgiving between"
    assert tuned_of(engine, "desk", BASE).at(date(2027, 1, 4)) == BASE


def test_what_is_approved_counts_from_the_next_session_on(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    done = book(engine).answer(made.id, "approved", who="operator", reason="I agree", as_of=NOW)
    assert done.answered is not None
    assert done.answered.from_session == TUESDAY
    tuned = tuned_of(engine, "desk", BASE)
    assert [tuned.at(day).target_atr for day in (MONDAY, TUESDAY, WEDNESDAY)] == [3.2, 3.6, 3.6]


def test_an_approval_in_session_waits_for_the_next_one(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    noon = datetime(2026, 11, 17, 17, 0, tzinfo=UTC)
    book(engine).answer(made.id, "approved", who="operator", reason="I agree", as_of=noon)
    assert [book(engine).tuned().at(day).target_atr for day in (TUESDAY, WEDNESDAY)] == [3.2, 3.6]


def test_the_journal_holds_proposal_answer_and_change_and_the_operator_is_told(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    book(engine).answer(made.id, "approved", who="operator", reason="I agree", as_of=NOW)
    records = read_journal(engine)
    titles = [record.entry.title for record in records]
    assert titles == ["proposed target_atr", "approved proposal for target_atr", "changed target_atr"]
    change = records[-1].entry.body
    assert (change["before"], change["after"], change["origin"]) == ("3.2", "3.6", "operator")
    assert f"proposal {made.id} by optimizer, evidence {evidence_digest(made)[:16]}" in str(change["reason"])
    (message,) = rows_of_messages(engine)
    assert message["code"] == "parameter"
    assert message["severity"] == "info"
    assert verify_ledger(engine, head=None).problems == ()


def rows_of_messages(engine: sa.Engine) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        found = connection.execute(sa.select(MESSAGES).where(MESSAGES.c.topic == "alert"))
        return [json.loads(row.payload) for row in found]


def test_what_is_refused_moves_nothing_and_is_not_asked_again_for_a_while(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    book(engine).answer(made.id, "refused", who="operator", reason="too early", as_of=NOW)
    assert book(engine).tuned().at(WEDNESDAY) == BASE
    assert proposed(engine, session=made.lapses) == ()
    assert len(proposed(engine, session=date(2026, 12, 2), as_of=NOW + 16 * DAY)) == 1


def test_the_same_move_waits_once_whoever_suggests_it(engine: sa.Engine) -> None:
    assert len(proposed(engine, suggestion(), suggestion())) == 1
    assert proposed(engine) == ()
    assert proposed(engine, origin="adaptor", session=TUESDAY) == ()
    assert len(proposed(engine, suggestion("stop_atr", 1.75))) == 1


def test_a_proposal_lapses_after_its_last_session(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    late = datetime(2026, 12, 2, 15, 0, tzinfo=UTC)
    assert [made.state(made.lapses), made.state(late.date())] == ["open", "lapsed"]
    with pytest.raises(PermanentFailure, match="is lapsed"):
        book(engine).answer(made.id, "approved", who="operator", reason="late", as_of=late)
    assert everything(engine) == [1, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (suggestion("target", 3.6), "names no parameter"),
        (suggestion("position_fraction_max", 0.06), "names no parameter"),
        (suggestion(before=3.0), "not in force"),
        (suggestion(after=3.2), "nowhere"),
        (suggestion(after=4.0), "more than a step"),
        (suggestion(after=float("nan")), "leaves the bounds"),
        (suggestion("position_fraction", 0.02), "leaves the bounds"),
        (suggestion(after="3.6"), "leaves the bounds"),
        (suggestion(after=True), "leaves the bounds"),
        (suggestion(reason=" "), "a name and a reason"),
        (suggestion("switched_off", ("vwap",)), "STRATEGY"),
        (suggestion("switched_off", 3.6), "leave their bounds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_whole(engine: sa.Engine, wrong: Suggestion, sentence: str) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        proposed(engine, suggestion(), wrong)
    assert everything(engine) == [0, 0, 0]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"proposal_id": "0" * 16}, "no such proposal"),
        ({"proposal_id": ""}, "no such proposal"),
        ({"reason": "  "}, "a name and a reason"),
        ({"who": ""}, "a name and a reason"),
        ({"reason": "\x00"}, "cannot be stored"),
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing(engine: sa.Engine, changed: dict[str, str], sentence: str) -> None:
    (made,) = proposed(engine)
    given = {"proposal_id": made.id, "who": "operator", "reason": "I agree", **changed}
    with pytest.raises(PermanentFailure, match=sentence):
        book(engine).answer(given["proposal_id"], "approved", who=given["who"], reason=given["reason"], as_of=NOW)
    assert everything(engine) == [1, 0, 0]
    assert len(read_journal(engine)) == 1


def test_a_proposal_is_answered_once(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    book(engine).answer(made.id, "approved", who="operator", reason="yes", as_of=NOW)
    with pytest.raises(PermanentFailure, match="is approved"):
        book(engine).answer(made.id, "refused", who="operator", reason="no", as_of=NOW)
    assert everything(engine) == [1, 1, 1]


def test_a_proposal_whose_parameter_has_moved_since_can_only_be_refused(engine: sa.Engine) -> None:
    up, down = proposed(engine, suggestion(), suggestion(after=2.8))
    book(engine).answer(up.id, "approved", who="operator", reason="yes", as_of=NOW)
    with pytest.raises(PermanentFailure, match="has moved since"):
        book(engine).answer(down.id, "approved", who="operator", reason="yes", as_of=NOW)
    refused = book(engine).answer(down.id, "refused", who="operator", reason="stale", as_of=NOW)
    assert refused.answered is not None
    assert refused.answered.from_session is None


def test_an_approval_that_breaks_reward_over_risk_is_refused(engine: sa.Engine) -> None:
    (made,) = proposed(engine, suggestion("stop_atr", 2.25))
    with pytest.raises(PermanentFailure, match="cannot stand together"):
        book(engine).answer(made.id, "approved", who="operator", reason="yes", as_of=NOW)
    assert everything(engine) == [1, 0, 0]


def test_going_back_adds_a_change_and_takes_none_away(engine: sa.Engine) -> None:
    (made,) = proposed(engine)
    book(engine).answer(made.id, "approved", who="operator", reason="yes", as_of=NOW)
    (back,) = book(engine).roll_back(name="target_atr", who="operator", reason="it lost", as_of=NOW + DAY)
    assert (back.before, back.after, back.from_session) == (3.6, 3.2, WEDNESDAY)
    tuned = book(engine).tuned()
    assert [tuned.at(day).target_atr for day in (MONDAY, TUESDAY, WEDNESDAY)] == [3.2, 3.6, 3.2]
    assert [each.reason.partition(" ")[0] for each in book(engine).moved()] == ["yes", "rolled"]


def test_going_back_to_a_session_restores_everything_that_stood_on_it(engine: sa.Engine) -> None:
    desk = book(engine)
    desk.set({"target_atr": 3.6}, who="operator", reason="one", as_of=NOW)
    desk.set(
        {"position_fraction": 0.04, "switched_off": ("pullback@range",)}, who="monitor", reason="two", as_of=NOW + DAY
    )
    back = desk.roll_back(to=TUESDAY, who="operator", reason="as it was", as_of=NOW + 2 * DAY)
    assert {each.name: each.after for each in back} == {"position_fraction": 0.05, "switched_off": []}
    assert desk.tuned().at(date(2026, 11, 19)) == BASE.with_values({"target_atr": 3.6})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": "target"}, "no such parameter"),
        ({"name": "target_atr"}, "nothing to go back to"),
        ({"to": MONDAY}, "nothing to go back to"),
        ({"to": WEDNESDAY}, "session of the past"),
        ({"name": "target_atr", "reason": ""}, "a name and a reason"),
    ],
)
def test_going_back_to_nothing_is_refused(engine: sa.Engine, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        book(engine).roll_back(**{"who": "operator", "reason": "why", **changed}, as_of=NOW)
    assert everything(engine) == [0, 0, 0]


def test_a_value_that_stands_already_is_no_change(engine: sa.Engine) -> None:
    assert book(engine).set({"target_atr": 3.2}, who="monitor", reason="again", as_of=NOW) == ()
    assert everything(engine) == [0, 0, 0]


def test_a_stored_value_outside_the_bounds_stops_whoever_would_decide_on_it(engine: sa.Engine) -> None:
    """Somebody wrote into the ledger by hand: nothing is decided until it is mended, and going back mends it."""
    change = ParameterChange("desk", TUESDAY, "position_fraction", "0.05", "0.5", "somebody", "why not")
    with transaction(engine) as connection:
        add_parameter_changes(connection, [change], as_of=NOW)
    with pytest.raises(PermanentFailure, match="do not fit"):
        tuned_of(engine, "desk", BASE)
    book(engine).roll_back(name="position_fraction", who="operator", reason="mended", as_of=NOW)
    assert book(engine).moved()[-1].after == 0.05


def test_changed_settings_in_the_same_table_are_no_parameters(engine: sa.Engine) -> None:
    other = ParameterChange("desk", TUESDAY, "preferences.positions_max", "8", "9", "files", "found changed")
    with transaction(engine) as connection:
        add_parameter_changes(connection, [other], as_of=NOW)
    assert book(engine).moved() == ()
    assert tuned_of(engine, "desk", BASE).changes == ()


def test_books_do_not_see_each_other(engine: sa.Engine) -> None:
    proposed(engine)
    book(engine).set({"stop_atr": 1.75}, who="operator", reason="one", as_of=NOW)
    other = SqlProposals(engine, "backtest", BASE)
    assert (other.proposals(), other.moved()) == ((), ())
