"""`desk trace`: from any name of a plan to everything behind it, as it was knowable then, with what no longer stands marked."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.trace import run_trace
from desk.tracing.rows import plain_row
from resources.desk import DeskResource
from resources.ledger.costs import SqlCostBook
from resources.ledger.store import SqlLedger
from tests.orchestration.homes import living_in
from tests.resources.ledger.calls import HOLD, NOW, budget, ended, planned
from tests.resources.ledger.entries import DAYS, at, close, decision, fill, intent, order
from tests.resources.ledger.journaled import vetoed_plan
from tests.resources.ledger.thoughts import lesson, thesis
from trading_assets.briefs.model import ANALYST_BRIEFS, Brief, Evidence
from trading_assets.briefs.rows import brief_rows
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.journal import canonical
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.core.tables import FACTS, Table
from trading_assets.execution.model import TRADES
from trading_assets.execution.ports import Intent
from trading_assets.execution.remembering import mind_digest
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import VOTES
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.memory.records import lesson_rows
from trading_assets.theses.model import DEBATES, THESES, THESIS_EVENTS, Mind

DAY, BEFORE, AFTER = DAYS[5], DAYS[4], DAYS[7]
NOW_THERE = XNYS.session(DAYS[9]).close
SYMBOL = "AAA"
_EMPTY: dict[str, Any] = {"text": "", "count": 1, "number": 1.0, "flag": True, "usd": Decimal("1.0000")}


def row(table: Table, **given: Any) -> dict[str, Any]:
    """A row of a table: what is given, and something of the right type everywhere else."""
    made: dict[str, Any] = {column.name: _EMPTY.get(column.type) for column in table.columns}
    for column in table.columns:
        if column.type == "day":
            made[column.name] = given["session"]
        if column.type == "instant":
            made[column.name] = given["knowable_at"]
    return made | given


def put(table: Table, *rows: dict[str, Any], lane: str = FACTS) -> None:
    days = [each["session"] for each in rows]
    DeskResource().lake().write(table, table.frame(rows), Span(min(days), max(days)), lane=lane)


def facts(session: date = BEFORE, rsi: float = 61.5) -> None:
    """What was known of a session after its close."""
    known = XNYS.session(session).close
    of = {"session": session, "symbol": SYMBOL, "knowable_at": known}
    put(DAILY_BARS, row(DAILY_BARS, **of, start=XNYS.session(session).open, close=100.0))
    put(INDICATORS, row(INDICATORS, **of, rsi_14=rsi, close=100.0))
    put(REGIME_LABELS, row(REGIME_LABELS, **of, regime="trending_up", strategy_view="trending_bull"))
    put(BREADTH, row(BREADTH, session=session, knowable_at=known))
    put(CORPORATE_ACTIONS, row(CORPORATE_ACTIONS, **of, kind="cash_dividend", ratio=1.0, amount=0.1))


def brief(rsi: float = 61.5, key: str = "") -> Brief:
    """What the technical analyst said, with the reading that it cites."""
    cited = Evidence(table=INDICATORS.name, session=BEFORE, symbol=SYMBOL, column="rsi_14", value=rsi)
    return Brief(
        agent="technical",
        symbol=SYMBOL,
        as_of=XNYS.session(DAY).open - timedelta(hours=1),
        signal=0.6,
        confidence=0.7,
        reasons=("RSI is 61.5",),
        evidence=(cited,),
        route="anthropic" if key else "rules",
        answer_key=key,
    )


def opinions(*briefs: Brief, lane: str = "desk") -> None:
    """What was said before the open, and what the slot made of it."""
    put(ANALYST_BRIEFS, *brief_rows(briefs, DAY), lane=lane)
    spoken = {"session": DAY, "symbol": SYMBOL, "knowable_at": briefs[0].as_of, "route": "rules"}
    evidence = json.dumps([each.model_dump(mode="json") for each in briefs[0].evidence])
    bull = row(DEBATES, **spoken, side="bull", strength=0.6, points='["It rises."]', evidence=evidence)
    put(DEBATES, bull, lane=lane)
    slot = {"session": DAY, "slot": "09:30", "symbol": SYMBOL, "knowable_at": at(DAY)}
    plan = intent(DAY).plan
    voted = {"persona": "momentum-persona", "strategy": plan.strategy, "side": "long", "vote": 0.8, "weight": 1.1}
    put(VOTES, row(VOTES, **slot, **voted, alone="enter", reason="It breaks out.", route="rules"), lane=lane)
    earlier = {**slot, "session": DAYS[3], "knowable_at": at(DAYS[3])}
    put(THESES, *(row(THESES, **of, thesis_id="t1") for of in (earlier, slot)), lane=lane)
    event = row(THESIS_EVENTS, **slot, number=1, thesis_id="t1", kind="reinforced", sentence="Technical agrees.")
    put(THESIS_EVENTS, event, row(THESIS_EVENTS, **slot, number=2, thesis_id="another"), lane=lane)


def decide(book: SqlLedger, wanted: Intent) -> None:
    """A slot with a plan that was bought, one that was refused, and the mind that it left behind."""
    thought = Mind(theses=(thesis(DAYS[3], SYMBOL).model_copy(update={"id": "t1"}),))
    decided = replace(decision(DAY), mind_digest=mind_digest(thought))
    entry = order(wanted)
    with book.session() as ledger:
        ledger.add_lessons([lesson(DAYS[2], trade="earlier"), lesson(DAYS[8], trade="later")])
        judged = ((wanted.plan, wanted.verdict), vetoed_plan(DAY))
        ledger.add_decision(decided, judged, [wanted], [entry, order(wanted, "stop")], mind=thought)
        ledger.add_settlement(close(DAY), [fill(entry)], [])


@pytest.fixture
def traded(home: Home) -> Any:
    """A desk that bought once, with the facts and opinions behind it."""
    with living_in(home.root, clock=NOW_THERE.isoformat()) as place:
        facts()
        opinions(brief())
        decide(DeskResource().ledger("desk"), intent(DAY))
        yield place


def told(capsys: pytest.CaptureFixture[str], name: str = "", lane: str = "desk") -> Any:
    """What `desk trace --json` prints."""
    run_trace(name, last=not name, lane=lane, as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def words(capsys: pytest.CaptureFixture[str], name: str = "") -> str:
    run_trace(name, last=not name, lane="desk", as_json=False)
    return capsys.readouterr().out


# Names


def test_any_name_of_a_plan_leads_to_it(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = intent(DAY)
    entry = order(wanted)
    names = ("", wanted.plan.id, wanted.plan.digest, wanted.id, entry.id, f"{wanted.id}-stop", fill(entry).id)
    found = [told(capsys, name) for name in names]
    assert all(each == found[0] for each in found)
    assert (found[0]["plan_id"], found[0]["plan_digest"]) == (wanted.plan.id, wanted.plan.digest)
    assert found[0]["plan"] == wanted.plan.model_dump(mode="json")


def test_an_unknown_name_says_where_names_are_found(traded: Home) -> None:
    with pytest.raises(DataNotReady, match="knows no plan.*nobody.*desk journal"):
        run_trace("nobody", last=False, lane="desk", as_json=True)


def test_a_book_without_a_fill_has_no_last_one(traded: Home) -> None:
    with pytest.raises(DataNotReady, match="nothing was ever filled in book backtest"):
        run_trace("", last=True, lane="backtest", as_json=True)


@pytest.mark.parametrize(("name", "last"), [("", False), ("some", True)])
def test_one_way_to_ask_is_needed(name: str, last: bool) -> None:
    with pytest.raises(PermanentFailure, match="desk trace --last"):
        run_trace(name, last=last, lane="desk", as_json=True)


# What is behind


def test_everything_of_the_ledger_is_told(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys)
    wanted = intent(DAY)
    assert [verdict["ruling"] for verdict in found["signatures"]] == ["shrink"]
    assert [each["role"] for each in found["orders"]] == ["entry", "stop"]
    assert [(each["price"], each["quantity"]) for each in found["fills"]] == [("100.4999", 7)]
    assert found["decision"]["session"] == DAY.isoformat()
    assert found["thesis"]["id"] == "t1"
    assert [one["source"] for one in found["thesis"]["contributions"]] == ["technical", "news"]
    assert [entry["kind"] for entry in found["journal"]] == ["decision", "veto", "veto", "order", "fill"]
    assert found["intent_id"] == wanted.id
    assert found["opened_by"] == ""


def test_every_row_has_its_key_its_version_and_the_digest_of_its_content(
    traded: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [each for of in told(capsys)["rows"].values() for each in of]
    tables = {INDICATORS.name, DAILY_BARS.name, REGIME_LABELS.name, BREADTH.name}
    assert {each["table"] for each in rows if each["lane"] == FACTS} == tables
    assert {each["table"] for each in rows if each["lane"] == "desk"} == {
        *(ANALYST_BRIEFS.name, DEBATES.name, VOTES.name, THESES.name, THESIS_EVENTS.name)
    }
    (bar,) = (each for each in rows if each["table"] == DAILY_BARS.name)
    assert bar["key"] == {"session": BEFORE.isoformat(), "symbol": SYMBOL}
    assert bar["version"] == DeskResource().lake().versions(DAILY_BARS, Span(BEFORE, BEFORE))[BEFORE]
    for each in rows:
        text = json.dumps(each["row"], sort_keys=True, separators=(",", ":"))
        assert each["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_the_thesis_is_followed_from_its_first_slot(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys)["rows"]
    assert [each["row"]["session"] for each in rows[THESES.name]] == [DAYS[3].isoformat(), DAY.isoformat()]
    assert [each["row"]["sentence"] for each in rows[THESIS_EVENTS.name]] == ["Technical agrees."]


def test_tables_without_a_row_are_named(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    missing = told(capsys)["without_rows"]
    assert "narratives" in missing
    assert ANALYST_BRIEFS.name not in missing


def test_a_fact_that_was_not_knowable_then_is_not_behind_it(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    before = told(capsys)
    facts(DAY, rsi=12.0)
    assert told(capsys)["rows"] == before["rows"]


def test_what_came_of_it_is_told_as_it_is_known_now(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    over = {"session": AFTER, "trade_id": intent(DAY).id, "knowable_at": XNYS.session(AFTER).close}
    put(TRADES, row(TRADES, **over, symbol=SYMBOL, pnl=Decimal("12.5000"), exit_reason="target"), lane="desk")
    learned = lesson(AFTER, trade=intent(DAY).id)
    put(LESSONS, *lesson_rows([learned]), lane="desk")
    with DeskResource().ledger("desk").session() as ledger:
        ledger.add_lessons([learned])
    found = told(capsys)
    assert [each["row"]["pnl"] for each in found["rows"][TRADES.name]] == ["12.5000"]
    assert [each["id"] for each in found["lessons"]] == [intent(DAY).id]
    assert "trade over on" in words(capsys)


def test_only_lessons_that_were_known_then_are_recalled(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert [each["id"] for each in told(capsys)["recalled"]] == ["earlier"]


# Citations


def test_a_citation_that_still_stands_is_marked_so(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    cited = told(capsys)["citations"]
    assert [(each["by"], each["column"], each["stands"]) for each in cited] == [
        ("technical on AAA", "rsi_14", True),
        ("bull on AAA", "rsi_14", True),
    ]
    assert "2 of 2 still stand" in words(capsys)


def test_a_citation_whose_row_has_changed_since_is_marked(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    version = told(capsys)["rows"][INDICATORS.name][0]["version"]
    facts(rsi=70.0)
    found = told(capsys)
    assert found["rows"][INDICATORS.name][0]["version"] != version
    assert [each["stands"] for each in found["citations"]] == [False, False]
    assert "rsi_14 is 70.0 and was cited as 61.5" in found["citations"][0]["problem"]
    assert "does not stand, technical on AAA" in words(capsys)


# Refused plans


def test_a_refused_plan_is_traced_too(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    plan, verdict = vetoed_plan(DAY)
    found = told(capsys, plan.id)
    assert found["plan"] == plan.model_dump(mode="json")
    assert (found["intent_id"], found["orders"], found["fills"]) == ("", [], [])
    assert found["signatures"] == [verdict.model_dump(mode="json")]
    text = words(capsys, plan.digest)
    assert "none: the plan was refused" in text
    assert "C10 sector: too much" in text


# Exits


def test_an_exit_names_the_entry_that_it_ends(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    leaving = intent(AFTER, action="exit")
    with DeskResource().ledger("desk").session() as ledger:
        sale = replace(order(leaving), id=f"{leaving.id}-exit", side="sell", role="exit", limit_price=None)
        ledger.add_decision(decision(AFTER), [(leaving.plan, leaving.verdict)], [leaving], [sale])
        ledger.add_settlement(close(AFTER), [fill(sale)], [])
    found = told(capsys)
    assert (found["plan_id"], found["opened_by"]) == (leaving.plan.id, intent(DAY).id)
    assert f"reduces what intent {intent(DAY).id} opened" in words(capsys)


# Model calls


def test_the_calls_behind_an_answer_are_told_with_their_cost(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with living_in(home.root, clock=NOW_THERE.isoformat()):
        facts()
        opinions(brief(key="key-1"))
        decide(DeskResource().ledger("desk"), intent(DAY))
        costs = SqlCostBook(DeskResource().engine("desk"))
        decided = f"desk/{DAY}/09:30"
        calls = (
            replace(planned("a"), answer_key="key-1"),
            replace(planned("b"), answer_key="other", budget=budget()),
            replace(planned("c"), answer_key="trader", budget=replace(budget(decided), decision=decided)),
        )
        for call in calls:
            assert costs.reserve(call, Decimal("0.02"), as_of=NOW, hold=HOLD) is None
            costs.settle(call.reservation, ended("0.0125"), as_of=NOW)
        found = told(capsys)["calls"]
        text = words(capsys)
    assert [call["answer_key"] for call in found] == ["key-1", "trader"]
    assert {call["cost_usd"] for call in found} == {"0.012500000"}
    assert "0.012500000 USD" in text


# Words


def test_a_person_reads_it_from_the_plan_back_to_the_facts(traded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    text = words(capsys)
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles[:4] == ["Plan", "Signatures", "Orders and fills", "Thesis"]
    for part in (
        "enter long 10 AAA by momentum_breakout at 100.50, stop 95.25, target 110.0001",
        "risk_gate: shrink, 7 shares",
        "buy 7 at 100.4999",
        "long AAA: the trend goes on",
        "technical: +0.800 log-odds",
        "technical on AAA: +0.60 at confidence 0.70 [rules]",
        "momentum-persona: +0.80, weight 1.10, alone would enter",
        "indicators",
        "known then, AAA",
        "none: rules answered",
        "decided, 1 planned, 0 vetoed",
    ):
        assert part in text, part


# The other lane


def test_a_backtest_is_traced_in_its_own_lane(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with living_in(home.root, clock="2009-01-02T10:00:00-05:00"):
        facts()
        opinions(brief(), lane="backtest")
        decide(DeskResource().ledger("backtest"), intent(DAY))
        found = told(capsys, lane="backtest")
    assert found["lane"] == "backtest"
    assert {each["lane"] for each in found["rows"][ANALYST_BRIEFS.name]} == {"backtest"}
    assert found["journal"][0]["title"] == "decided, 1 planned, 0 vetoed"


# Rows


@settings(max_examples=25, deadline=None)
@given(
    number=st.floats(),
    amount=st.decimals(allow_nan=False, allow_infinity=False, places=4),
    moment=st.datetimes(timezones=st.just(UTC)),
    text=st.text(),
)
def test_any_row_has_one_canonical_json(number: float, amount: Decimal, moment: datetime, text: str) -> None:
    plain = plain_row({"n": number, "a": amount, "m": moment, "d": moment.date(), "t": text, "z": None, "f": True})
    assert json.loads(canonical(plain)) == plain
    assert plain["a"] == str(amount)
    assert datetime.fromisoformat(plain["m"]) == moment
