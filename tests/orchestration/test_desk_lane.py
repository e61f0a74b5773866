"""The desk's own day on past prices: morning, slot, close, report; what is not due is refused and leaves no trace."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

from desk.runner import run_job
from resources.desk import BACKTEST, DESK, DeskResource
from resources.ledger.bus import publish
from resources.ledger.records import Evaluations, ParameterChanges
from sensors.slots import decision_slots
from tests.orchestration.homes import AFTER_EVERYTHING, Said, configured, copied, desk, done, living_in, quarter_home
from trading_assets.catalog import key_of
from trading_assets.core.messages import Draft, NewsArrived
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.definitions import defs
from trading_assets.execution.model import ACCOUNT
from trading_assets.execution.tables import BOOKED, DECIDED
from trading_assets.jobs import FACTS

BEFORE, DAY, NEXT = date(2012, 10, 19), date(2012, 10, 22), date(2012, 10, 23)
SLOT = "2012-10-22T09:31:00-04:00"
CLOSE = "2012-10-22T16:20:00-04:00"


@dataclass(frozen=True)
class Told:
    """A home after its day, with what the commands said."""

    home: Path
    decided: Said
    again: Said
    closed: Said


def span(day: date) -> Span:
    """One session."""
    return Span(day, day)


def prepare(root: Path, day: date, *, clock: str) -> None:
    """The morning: the facts of the session before, then the briefs of this one."""
    with living_in(root, clock=clock):
        told = json.loads(done("run", "premarket", "--json").out)
        assert (told["part"], told["session"]) == ("premarket", day.isoformat())


@cache
def mornings_home(base: Path) -> Path:
    """The quarter on the morning of 23 October 2012, briefed and undecided."""
    root = copied(quarter_home(base), base / "morning")
    prepare(root, DAY, clock="2012-10-22T08:45:00-04:00")
    return root


@cache
def evenings_home(base: Path) -> Told:
    """The same home after its slot, a second attempt, and the close."""
    root = copied(mornings_home(base), base / "evening")
    with living_in(root, clock=SLOT):
        decided, again = desk("decide", "--json"), desk("decide")
    with living_in(root, clock=CLOSE):
        closed = desk("run", "postclose", "--json")
    return Told(root, decided, again, closed)


@pytest.fixture
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The desk after its day, to be read."""
    told = evenings_home(tmp_path_factory.getbasetemp())
    with living_in(told.home, clock=CLOSE):
        yield told


@pytest.fixture
def morning(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Home]:
    """A copy of the desk at the open, to be used."""
    root = copied(mornings_home(tmp_path_factory.getbasetemp()), tmp_path / "home")
    with living_in(root, clock=SLOT) as home:
        yield home


def decided_slots(first: date, last: date) -> list[tuple[date, str]]:
    """What the desk's ledger holds."""
    with DeskResource().ledger(DESK).session() as ledger:
        return [(decision.session, decision.slot) for decision in ledger.decisions(first, last)]


def nothing_is_decided() -> bool:
    """No decision in the ledger, and no row of one in the lake."""
    stored = [DeskResource().lake().versions(t, Span(BEFORE, NEXT), lane=DESK) for t in (*DECIDED, *BOOKED)]
    return decided_slots(BEFORE, NEXT) == [] and not any(stored)


# The day


def test_the_due_slot_is_decided_once_and_told_as_one_object(evening: Told) -> None:
    assert evening.decided.code == 0, evening.decided.err
    told = json.loads(evening.decided.out)
    assert (told["session"], told["slot"]) == ("2012-10-22", "09:30")
    assert (told["plans"], told["vetoes"]) == (3, 2)
    assert [intent.split()[0::2] for intent in told["intents"]] == [["enter", "AAPL"]]
    assert decided_slots(BEFORE, NEXT) == [(DAY, "09:30")]


def test_the_second_decision_of_a_slot_is_refused_with_its_reason(evening: Told) -> None:
    assert evening.again.code != 0
    assert evening.again.out == ""
    assert "slot 09:30 of 2012-10-22 is decided already in book desk" in evening.again.err
    assert "Traceback" not in evening.again.err


def test_the_close_settles_books_and_measures_the_session(evening: Told) -> None:
    assert evening.closed.code == 0, evening.closed.err
    assert json.loads(evening.closed.out)["session"] == "2012-10-22"
    account = DeskResource().lake().read(ACCOUNT, as_of=AFTER_EVERYTHING, lane=DESK)
    assert account["session"].to_list() == [DAY]
    with dg.DagsterInstance.get() as instance:
        for table in (*DECIDED, *BOOKED):
            assert instance.get_materialized_partitions(key_of(table, DESK)) == {"2012-10-22"}
        assert instance.get_materialized_partitions(dg.AssetKey([DESK, "daily_metrics"])) == {"2012-10-22"}


def test_the_report_of_the_day_is_on_disk(evening: Told) -> None:
    folder = evening.home / "reports" / DESK / "2012-10-22"
    assert (folder / "report.md").is_file()
    assert (folder / "report.json").is_file()


def test_the_status_tells_the_book_after_the_close(evening: Told) -> None:
    status = json.loads(done("status", "--json").out)
    assert status["data"]["last_settled_session"] == "2012-10-22"
    assert [one["symbol"] for one in status["positions"]] == ["AAPL"], "the entry of the open was filled"
    assert status["halts"] == []
    assert "closed at 16:00" in status["clock"]["due"]


def test_the_sensor_rests_after_the_decision(evening: Told) -> None:
    with (
        living_in(evening.home, clock=SLOT),
        dg.DagsterInstance.get() as instance,
        dg.build_sensor_context(instance=instance) as context,
    ):
        skipped = decision_slots(context, desk=DeskResource())
    assert skipped == dg.SkipReason("slot 10:00 is due at 2012-10-22 10:00")


@pytest.mark.slow
def test_the_next_day_goes_on_from_the_book(evening: Told, tmp_path: Path) -> None:
    """Through the sensor's own request: what it asks for is what the job accepts."""
    root = copied(evening.home, tmp_path / "next")
    prepare(root, NEXT, clock="2012-10-23T08:45:00-04:00")
    with living_in(root, clock="2012-10-23T09:31:00-04:00"):
        with dg.DagsterInstance.get() as instance, dg.build_sensor_context(instance=instance) as context:
            request = decision_slots(context, desk=DeskResource())
        assert isinstance(request, dg.RunRequest)
        assert run_job("decide", span(NEXT), config=request.run_config["ops"]).success
    with living_in(root, clock="2012-10-23T16:20:00-04:00"):
        selection = [*FACTS, *(key_of(table, DESK) for table in BOOKED)]
        assert run_job("postclose", span(NEXT), selection=selection).success
        account = DeskResource().lake().read(ACCOUNT, as_of=AFTER_EVERYTHING, lane=DESK)
    assert account["session"].to_list() == [DAY, NEXT]


# What is not due


@pytest.mark.parametrize(
    ("clock", "words", "says"),
    [
        pytest.param(SLOT, ("--slot", "10:00"), "2012-10-22 09:30 is due", id="another slot"),
        pytest.param("2012-10-22T09:29:59-04:00", (), "no slot of 2012-10-22 has begun", id="before the open"),
        pytest.param("2012-10-22T09:45:00-04:00", (), "it never runs late", id="grace is over"),
        pytest.param("2012-10-22T16:05:00-04:00", (), "closed at 16:00", id="after the close"),
        pytest.param("2012-11-22T10:00:00-04:00", (), "2012-11-22 is not a session", id="holiday"),
    ],
)
def test_what_is_not_due_is_refused_before_a_run_starts(
    morning: Home, clock: str, words: tuple[str, ...], says: str
) -> None:
    with living_in(morning.root, clock=clock):
        said = desk("decide", *words)
        assert said.code == 2
        assert says in said.err
        assert said.out == ""
        assert nothing_is_decided()
        with dg.DagsterInstance.get() as instance:
            assert not [run for run in instance.get_runs() if run.job_name == "decide"]


@pytest.mark.parametrize("day", [BEFORE, date(2012, 10, 19)], ids=str)
def test_the_job_over_another_session_is_refused_and_writes_nothing(morning: Home, day: date) -> None:
    outcome = run_job("decide", span(day))
    assert not outcome.success
    assert "the desk decides due slots only" in outcome.failures[0]
    assert f"{day} whichever is due" in outcome.failures[0]
    assert "2012-10-22 09:30 is due" in outcome.failures[0]
    assert nothing_is_decided()


def test_an_event_is_looked_at_once_through_the_job_and_orders_nothing_that_opens(morning: Home) -> None:
    """Without its message, or a second time, the same slot is refused."""
    resource, at = DeskResource(), datetime.fromisoformat("2012-10-22T10:13:12-04:00")
    news = NewsArrived(symbol="AAPL", news_id="n", published=at)
    [event] = publish(resource.engine(DESK), [Draft(DESK, DAY, at, "ingest", news)])
    config = {"desk_decisions": {"config": {"slot": "10:13:12", "event": event}}}
    with living_in(morning.root, clock="2012-10-22T10:14:00-04:00"):
        forged = {"desk_decisions": {"config": {"slot": "10:13:12", "event": event + 1}}}
        assert "events on the bus only" in run_job("decide", span(DAY), config=forged).failures[0]
        assert nothing_is_decided()
        assert run_job("decide", span(DAY), config=config).success
        assert "deserves no look now" in run_job("decide", span(DAY), config=config).failures[0]
        with DeskResource().ledger(DESK).reading() as ledger:
            [decision] = ledger.decisions(DAY, DAY)
            assert (decision.slot, decision.state) == ("10:13:12", "REDUCING")
            assert f"news on AAPL (message {event})" in decision.reason
            assert not [intent for intent in ledger.intents(DAY) if intent.plan.opens]


def test_a_partition_started_from_the_ui_is_refused_like_any_other_and_the_due_one_runs(morning: Home) -> None:
    """The UI starts a run with one partition key and no range."""
    with dg.DagsterInstance.get() as instance:
        job = defs.resolve_job_def("decide")
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        refused = job.execute_in_process(
            instance=instance, partition_key=NEXT.isoformat(), run_config=quiet, raise_on_error=False
        )
        assert not refused.success
        assert nothing_is_decided()
        due = job.execute_in_process(instance=instance, partition_key=DAY.isoformat(), run_config=quiet)
    assert due.success
    assert decided_slots(BEFORE, NEXT) == [(DAY, "09:30")]


@pytest.mark.fault(104)
def test_a_backfill_of_the_desks_decisions_is_refused_and_writes_nothing(morning: Home) -> None:
    outcome = run_job("decide", Span(BEFORE, DAY))
    assert not outcome.success
    assert "the desk decides due slots only" in outcome.failures[0]
    assert nothing_is_decided()


def test_a_slot_without_its_briefs_or_facts_is_refused(quarter_root: Path, tmp_path: Path) -> None:
    """On 3 January nobody fetched the bars of the day before."""
    with living_in(copied(quarter_root, tmp_path / "home"), clock="2013-01-03T09:31:00-05:00"):
        said = desk("decide")
        assert said.code == 1
        assert "there are no daily_bars of 2013-01-02" in said.err
        assert "desk ingest --from 2013-01-02 --to 2013-01-02" in said.err
        assert decided_slots(DAY, date(2013, 1, 3)) == []


# Halts


def test_a_halted_desk_decides_but_enters_nothing_until_the_operator_resumes(morning: Home) -> None:
    done("halt", "news that no bar shows")
    [halt] = json.loads(done("status", "--json").out)["halts"]
    assert "operator: news that no bar shows" in halt
    told = json.loads(done("decide", "--json").out)
    assert told["intents"] == [], "without the halt this slot enters AAPL"
    assert "halt" in told["reason"] + told["state"]
    number = halt.split(":")[0]
    wrong = desk("resume", int(number) + 1, "a guess")
    assert wrong.code == 2
    assert "Traceback" not in wrong.err
    assert json.loads(done("status", "--json").out)["halts"] == [halt]
    blank = desk("resume", number, " ")
    assert blank.code == 2, "a reason must be given"
    assert "trading may go on" in done("resume", number, "the news was about another company").err
    assert json.loads(done("status", "--json").out)["halts"] == []
    assert desk("resume", number, "again").code == 2


@pytest.mark.fault(29)
@pytest.mark.parametrize("damage", ["malformed", "locked"])
def test_a_damaged_or_locked_dagster_database_touches_no_order_and_no_halt(morning: Home, damage: str) -> None:
    """The ledger is the truth: the operator's hand works, nothing is decided half, and the slot stays free."""
    stored = sorted((morning.dagster / "history").rglob("*.db"))
    assert stored
    holders = []
    for path in stored:
        if damage == "malformed":
            path.write_bytes(b"this is no database" * 500)
        else:
            holders.append(sqlite3.connect(path, isolation_level=None))
            holders[-1].execute("BEGIN EXCLUSIVE")
    try:
        refused = desk("decide") if damage == "malformed" else None
        assert desk("halt", "Dagster is ill").code == 0
        assert "Dagster is ill" in desk("status").out
    finally:
        for holder in holders:
            holder.close()
    if refused:
        assert refused.code == 2
        assert "Dagster's own history cannot be used" in refused.err
        assert "move that folder away" in refused.err
    assert decided_slots(DAY, DAY) == []


def test_a_setting_that_changed_since_the_last_decision_is_on_record(morning: Home, tmp_path: Path) -> None:
    """Row, journal entry and page say which setting, from what to what; what did not change is not told."""
    desk_resource = DeskResource()
    assert desk_resource.note_parameters(DESK) == 0
    config = configured(tmp_path / "config", {})
    preferences = config / "preferences.yaml"
    preferences.write_text(preferences.read_text().replace("positions_max: 8", "positions_max: 7"))
    with living_in(morning.root, clock=SLOT, config=config):
        assert desk_resource.note_parameters(DESK) == 1
        assert desk_resource.note_parameters(DESK) == 0
        latest = ParameterChanges(desk_resource.engine(DESK)).latest(DESK)
        assert {(c.name, c.before, c.after) for c in latest.values()} == {("preferences.positions_max", "8", "7")}
        [page] = (morning.journal(DESK) / DAY.isoformat()).glob("*changed*")
        assert "preferences.positions_max" in page.read_text()


def test_a_report_leaves_its_measures_in_the_ledger(quarter_root: Path) -> None:
    with living_in(quarter_root):
        resource = DeskResource()
        with resource.ledger(BACKTEST).reading() as ledger:
            newest = ledger.latest_close(date.max)
        assert newest is not None
        measures = Evaluations(resource.engine(BACKTEST)).latest(BACKTEST, newest.session)
    assert measures is not None
    assert {"sharpe_ratio", "max_drawdown_fraction"} <= measures.keys()
