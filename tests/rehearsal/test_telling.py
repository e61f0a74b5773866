"""The timeline tells each thing once; the page, the document and the line say the same of a day, good or bad."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from desk.rehearsing.faults import Happened, expectations
from desk.rehearsing.invariants import verdicts
from desk.rehearsing.life import Lived, excused, parts_of
from desk.rehearsing.plan import fault_of
from desk.rehearsing.reading import Ledger
from desk.rehearsing.seen import Evidence, Run, Told
from desk.rehearsing.telling import figures, page, write
from desk.rehearsing.timeline import Timeline, line_of
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger
from tests.gateway.parts import BOOK, DAY
from tests.gateway.parts import OPEN as MORNING
from tests.rehearsal.days import CLOSE, ENTRY, KEY, OPEN, at, ordinary
from tests.rehearsal.test_plan import SESSION, asked
from trading_assets.core.settings import PROJECT


def lived(evidence: Evidence, folder: Path, *, lines: int = 3) -> Lived:
    told = tuple(Told(at(n), "note", f"line {n}") for n in range(lines))
    usage = {"gateway": {"cpu_share": 0.12, "cpu_s": 60.0, "memory_mb_max": 150.0, "starts": 1.0}}
    return Lived(
        asked(), folder, evidence, verdicts(evidence), told, (), usage, {"due_to_order_s_p50": 7.1}, 9.0, 500.0
    )


def test_a_good_day_is_told_as_one_in_all_three_places(tmp_path: Path) -> None:
    day = lived(ordinary(), tmp_path)
    told = figures(day)
    assert (told["slots_due"], told["slots_missed"], told["slots_doubled"]) == (2, 0, 0)
    assert (told["orders"], told["fills"], told["violations"], told["halts"], told["parts_missed"]) == (3, 2, 0, 0, 0)
    assert (told["cpu_share"], told["seconds"], told["due_to_order_s_p50"]) == (0.12, 500.0, 7.1)
    write(day)
    text, document = (tmp_path / "rehearsal.md").read_text(), json.loads((tmp_path / "rehearsal.json").read_text())
    assert "Every invariant holds." in text
    assert text.count("| holds |") == len(day.verdicts) == len(document["verdicts"])
    assert document["slots_due"] == 2
    assert [line["words"] for line in document["timeline"]] == ["line 0", "line 1", "line 2"]


def test_a_violation_stands_on_the_page_by_its_invariant(tmp_path: Path) -> None:
    day = lived(replace(ordinary(), decisions=ordinary().decisions[:1], report=""), tmp_path)
    assert day.violations == (
        "no slot missed: slot 12:00 has no decision",
        "the report exists: there is no report of the session",
    )
    text = page(day)
    assert "2 violations." in text
    assert "| no slot missed | slot 12:00 has no decision |" in text
    assert (figures(day)["slots_missed"], figures(day)["violations"]) == (1, 2)


def test_a_long_timeline_is_cut_on_the_page_and_whole_in_the_document(tmp_path: Path) -> None:
    day = lived(ordinary(), tmp_path, lines=450)
    write(day)
    assert "… and 50 more lines" in page(day)
    assert len(json.loads((tmp_path / "rehearsal.json").read_text())["timeline"]) == 450


def test_a_line_carries_the_time_of_new_york() -> None:
    assert line_of(Told(OPEN, "decision", "decided")) == "09:30:00  decision    decided"


def test_the_timeline_tells_what_is_new_and_nothing_twice(tmp_path: Path) -> None:
    where, lines = tmp_path / "desk.sqlite", list[str]()
    line = Timeline(Ledger(where, DAY), tmp_path / "history" / "runs.db", lambda: MORNING, lines.append)
    line.look()
    assert lines == []
    engine = open_ledger(where, durability="FULL")
    SqlDispatch(engine, BOOK, client_id=11).halt("W4 the day is lost", as_of=MORNING)
    line.look()
    line.look()
    line.say("fault", "kill-daemon at 10:00:00")
    engine.dispose()
    assert [each.split("  ")[1].strip() for each in lines] == ["halt", "fault"]
    assert [each.what for each in line.lines] == ["halt", "fault"]


def test_the_timeline_tells_of_a_run_when_it_is_asked_for_and_when_it_has_ended(tmp_path: Path) -> None:
    @dg.op
    def nothing() -> None:
        """Does nothing."""

    @dg.job(name="postclose")
    def postclose() -> None:
        nothing()

    lines = list[str]()
    line = Timeline(Ledger(tmp_path / "none", DAY), tmp_path / "history" / "runs.db", lambda: MORNING, lines.append)
    open_ledger(tmp_path / "none", durability="FULL").dispose()
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        postclose.execute_in_process(instance=instance, tags={"desk/part": f"postclose/{DAY}"})
        line.look()
        line.look()
    (told,) = lines
    assert f"postclose/{DAY}: success after" in told


# What a fault leaves no time for, and what it expects


def happened(text: str, minutes: float, until: float | None = None, note: str = "") -> Happened:
    fault = fault_of(text, SESSION, 60.0)
    return Happened(fault, at(minutes), None if until is None else at(until), note)


def excused_by(*faults: Happened) -> set[str]:
    day = replace(ordinary(), due=("09:30", "10:00", "10:30", "11:00"))
    parts = [p for p in parts_of(asked(), PROJECT / "config") if p.name == "slot"]
    return set(excused(day, faults, parts))


def test_a_daemon_that_is_gone_excuses_the_slots_that_had_no_time_beside_it_and_no_others() -> None:
    """Forty seconds of the machine after its start it looks again; a slot needs twenty-five, and is due for thirty of them here."""
    assert excused_by(happened("kill-daemon@09:55+60m", 25, 85)) == {"10:00", "10:30", "11:00"}
    assert excused_by(happened("kill-daemon@10:12+5m", 42, 47)) == {"10:00", "10:30"}
    assert excused_by(happened("kill-daemon@10:58+20s", 88, 88.4)) == {"11:00", "11:30"}
    assert excused_by() == set()


def test_a_killed_run_excuses_its_own_slot_alone() -> None:
    assert excused_by(happened("kill-run@deciding", 2, 2, "run abc of slot 09:30")) == {"09:30"}
    assert excused_by(happened("kill-run@deciding", 2, 2, "no run was under way")) == set()
    assert excused_by(happened("broker-outage@10:00", 30, 32), happened("lock-ledger@10:00", 30, 35)) == set()


def expected(
    one: Happened, evidence: Evidence, *, told: dict[str, datetime] | None = None, agreed: datetime | None = None
) -> bool:
    (verdict,) = expectations([one], evidence, told or {}, agreed)
    assert verdict.name.startswith(f"expected of {one.fault.name}: ")
    return verdict.holds


def test_after_a_crash_somebody_is_told_in_time_and_nothing_opens() -> None:
    crash = happened("flash-crash@10:00", 30, 30)
    later = replace(ENTRY, perm_id=9, since=at(40), symbol="CCC")
    assert expected(crash, ordinary(), told={"flash_crash": at(31)})
    assert not expected(crash, ordinary())
    assert not expected(crash, ordinary(), told={"flash_crash": at(36)})
    opened = replace(ordinary(), orders=(*ordinary().orders, later))
    assert not expected(crash, opened, told={"flash_crash": at(31)})


@pytest.mark.parametrize("text", ["broker-outage@10:00", "kill-gateway@10:00", "lock-ledger@10:00"])
def test_after_an_outage_ledger_and_broker_agree_again(text: str) -> None:
    over, lasting = happened(text, 30, 40), happened(text, 30)
    assert expected(over, ordinary(), agreed=at(41))
    assert not expected(over, ordinary(), agreed=at(39))
    assert not expected(over, ordinary())
    assert not expected(lasting, ordinary(), agreed=at(41))


def test_after_a_daemons_death_a_later_slot_is_decided() -> None:
    killed = happened("kill-daemon@10:00+30m", 30, 60)
    assert expected(killed, ordinary())
    assert not expected(killed, replace(ordinary(), decisions=ordinary().decisions[:1]))
    assert expected(happened("kill-daemon@15:00+30m", 330, 360), ordinary())


def test_a_killed_run_ends_as_failed() -> None:
    killed = happened("kill-run@deciding", 2, 2, "run dead of slot 09:30")
    dead = Run("dead", "decide", "FAILURE", "", KEY, "09:30", 0, 1, 2)
    with_run: Callable[[Run], Evidence] = lambda run: replace(ordinary(), runs=(*ordinary().runs, run))  # noqa: E731
    assert expected(killed, with_run(dead))
    assert not expected(killed, with_run(replace(dead, status="STARTED")))
    assert not expected(killed, ordinary())
    assert not expected(happened("kill-run@deciding", 2, 2, "no run was under way"), ordinary())


def test_the_parts_of_a_day_are_those_that_come_due_while_the_clock_runs() -> None:
    whole = {part.key for part in parts_of(asked(), PROJECT / "config")}
    assert {f"opinions/{KEY}", f"postclose/{KEY}", f"report/{KEY}", f"slot/{KEY}/09:30"} <= whole
    half = parts_of(asked(start="09:25", until="11:00"), PROJECT / "config")
    assert {part.name for part in half} <= {"slot", "review"}
    assert all(OPEN - timedelta(minutes=5) <= part.at < at(90) < CLOSE for part in half)
