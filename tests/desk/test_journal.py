"""`desk journal` and `desk doctor --verify-ledger` on real homes: what a person sees, and what a script gets."""

import json
import sqlite3
from typing import Any

import pytest
import typer

from desk.journal import run_journal
from desk.verify import run_verify
from resources.desk import DeskResource
from tests.resources.ledger.entries import DAYS
from tests.resources.ledger.journaled import Teller, day_of_trading, desk_week, pages
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import Home


@pytest.fixture
def lived_in(home: Home) -> Home:
    """A desk that traded for three days, and a backtest of two."""
    for lane, days in (("desk", DAYS[:3]), ("backtest", DAYS[:2])):
        desk_week(DeskResource().engine(lane), lane, days)
    DeskResource().journal_files("desk").rebuild(DeskResource().engine("desk"), anchor=True)
    return home


def journal(capsys: pytest.CaptureFixture[str], **wanted: Any) -> Any:
    """What `desk journal --json` prints."""
    given = {"session": None, "kind": "", "symbol": "", "lane": "desk", "rebuild": False, **wanted}
    run_journal(**given, as_json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def verified(capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the proof."""
    code = 0
    try:
        run_verify(as_json=as_json)
    except typer.Exit as ended:
        code = ended.exit_code
    said = capsys.readouterr()
    return code, said.out, said.err


# desk journal


def test_without_a_wish_the_newest_session_is_shown(lived_in: Home, capsys: pytest.CaptureFixture[str]) -> None:
    entries = journal(capsys)["entries"]
    assert {entry["session"] for entry in entries} == {str(DAYS[2])}
    assert [entry["seq"] for entry in entries] == list(range(15, 27))


def test_entries_are_chosen_by_session_kind_symbol_and_decision(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    only = journal(capsys, session=DAYS[0], kind="veto", symbol="bbb")["entries"]
    assert [(entry["kind"], entry["symbol"], entry["title"]) for entry in only] == [
        ("veto", "BBB", "entry vetoed, mean_reversion")
    ]
    assert only[0]["body"]["verdict"]["breaches"][0]["bound"] == "25,000.00 USD"
    chain = journal(capsys, correlation=f"desk/{DAYS[1]}/09:30")["entries"]
    assert [entry["kind"] for entry in chain] == ["decision", "veto", "veto", "order", "fill"]


def test_each_lane_has_its_own_journal(lived_in: Home, capsys: pytest.CaptureFixture[str]) -> None:
    entries = journal(capsys, lane="backtest", kind="fill", session=DAYS[1])["entries"]
    assert [entry["correlation_id"] for entry in entries] == [f"backtest/{DAYS[1]}/09:30"]


def test_a_person_sees_a_table_of_the_day(
    lived_in: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run_journal(DAYS[0], "", "", "desk", rebuild=False, as_json=False)
    said = capsys.readouterr().out
    assert "Journal of book desk" in said
    assert "entry vetoed, mean_reversion" in said
    assert "09:31:00" in said
    assert "bought 7, entry" in said


def test_an_empty_journal_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal(capsys)["entries"] == []
    run_journal(None, "", "", "desk", rebuild=False, as_json=False)
    assert "the journal of book desk has no such entry" in capsys.readouterr().err


def test_an_unknown_kind_is_refused_with_the_known_ones(home: Home) -> None:
    with pytest.raises(PermanentFailure, match="decision, veto, order") as failure:
        run_journal(None, "rumour", "", "desk", rebuild=False, as_json=False)
    assert failure.value.value == "rumour"


def test_rebuilding_writes_what_is_missing_and_names_what_is_foreign(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lived_in.journal("desk")
    right = pages(folder)
    next(folder.rglob("*.md")).unlink()
    (folder / "notes.txt").write_text("mine")
    done = journal(capsys, rebuild=True)
    assert (done["entries"], done["written"], done["altered"]) == (26, 1, [])
    assert done["foreign"] == [str(folder / "notes.txt")]
    assert pages(folder) == right


def test_pages_of_a_backtest_are_written_on_demand_into_a_folder_of_their_own(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not lived_in.journal("backtest").exists()
    assert journal(capsys, rebuild=True, lane="backtest")["written"] == 19
    assert len(pages(lived_in.journal("backtest"))) == 19
    assert not (lived_in.journal("backtest") / "HEAD").exists()
    assert journal(capsys, rebuild=True)["foreign"] == [], "the desk's journal leaves the backtest's alone"


def test_rebuilding_beside_an_anchor_that_contradicts_ends_with_code_one(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (lived_in.journal("desk") / "HEAD").write_text(f"99 {'0' * 64}\n")
    with pytest.raises(typer.Exit) as ended:
        run_journal(None, "", "", "desk", rebuild=True, as_json=False)
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert "contradicts the ledger and is kept as evidence" in said.err
    assert "entries    26" in said.out


# desk doctor --verify-ledger


def test_sound_ledgers_are_proven_in_one_line_with_their_counts(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = verified(capsys)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert out.startswith("proven: desk 26 journal entries up to ")
    assert "6 decisions, 6 vetoes, 6 orders, 3 fills, 2 halts; backtest 19 journal entries up to " in out


def test_the_proof_as_json_holds_the_counts_of_each_lane(lived_in: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = verified(capsys, as_json=True)
    proof = json.loads(out)
    assert (code, out.count("\n"), proof["proven"]) == (0, 1, True)
    assert (proof["desk"]["entries"], proof["desk"]["rows"]["fills"]) == (26, 3)
    assert proof["backtest"]["problems"] == []


def test_an_empty_home_is_proven(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = verified(capsys)
    assert code == 0
    assert "desk 0 journal entries" in out


def test_a_tampered_ledger_is_told_problem_by_problem_with_code_one(
    lived_in: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(lived_in.ledger("desk")) as file:
        _drop_triggers(file)
        file.execute("update fills set price = price + 1 where seq = 2")
    code, out, err = verified(capsys)
    assert (code, out) == (1, "")
    assert "desk: fills: desk " in err
    assert "has price 100.5000, journal entry 13 says 100.4999" in err
    assert "restore a backup" in err
    code, out, _ = verified(capsys, as_json=True)
    assert (code, json.loads(out)["proven"]) == (1, False)


def test_a_lost_tail_is_told_by_the_anchor(lived_in: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (lived_in.journal("desk") / "HEAD").write_text(f"30 {'0' * 64}\n")
    code, _, err = verified(capsys)
    assert code == 1
    assert "desk: the journal ends at entry 26, but entry 30 was committed: entries 27 to 30 are lost" in err


def test_a_ledger_that_is_none_is_a_problem_of_its_lane(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.ledger("backtest").parent.mkdir(parents=True)
    home.ledger("backtest").write_bytes(b"this is no database at all" * 200)
    code, _, err = verified(capsys)
    assert code == 1
    assert err.startswith("backtest: the ledger refused: file is not a database")


def test_a_walk_that_goes_on_is_proven_again(lived_in: Home, capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(DeskResource().engine("backtest"), "backtest")
    teller.rewind(DAYS[1])
    day_of_trading(teller, DAYS[1])
    assert verified(capsys)[0] == 0


def _drop_triggers(file: sqlite3.Connection) -> None:
    for (name,) in file.execute("select name from sqlite_master where type = 'trigger'").fetchall():
        file.execute(f"drop trigger {name}")
