"""What is asked wrongly is answered in words: what, which value, which bound, what next; with an exit code and no stack trace."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import yaml

from tests.orchestration.homes import Said, configured, desk, living_in
from trading_assets.core.settings import Home


def refused(code: int, *words: object) -> Said:
    """A command that must end with that code, in words and with nothing on stdout."""
    said = desk(*words)
    assert said.code == code, said.err + said.out
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "Error:" not in said.err.split("|")[0], "no exception's name before the sentence"
    return said


# The words of a command

USAGE = [
    pytest.param(("status", "--lane", "nope"), ["--lane", "nope", "backtest"], id="book"),
    pytest.param(("ingest", "--frequency", "2m"), ["--frequency", "2m", "1h"], id="bar length"),
    pytest.param(("ingest", "--provider", "bloomberg"), ["--provider", "bloomberg", "files"], id="provider"),
    pytest.param(("ingest", "--from", "2012-13-01"), ["--from", "2012-13-01"], id="no such day"),
    pytest.param(("backtest", "--from", "2012-12-03"), ["--to"], id="half a range"),
    pytest.param(("resume", "one", "because"), ["halt_id", "integer"], id="id that is no number"),
    pytest.param(("halt",), ["reason"], id="halt without a reason"),
    pytest.param(("run", "lunch"), ["lunch", "premarket, facts, opinions"], id="part of the day"),
    pytest.param(("dance",), ["dance"], id="no such command"),
]


@pytest.mark.parametrize(("words", "says"), USAGE)
def test_a_word_that_the_command_does_not_know_is_named(home: Home, words: tuple[str, ...], says: list[str]) -> None:
    said = desk(*words)
    assert said.code == 2
    assert said.out == ""
    assert all(word in said.err for word in says), said.err
    assert not list(home.root.rglob("*.sqlite")), "nothing was opened for it"


RANGES = [
    pytest.param(
        ("2012-12-31", "2012-12-03"), ["2012-12-31 to 2012-12-03", "--from must not be after --to"], id="turned round"
    ),
    pytest.param(("2024-07-04", "2024-07-04"), ["2024-07-04 (Thursday)", "use 2024-07-03 or 2024-07-05"], id="holiday"),
    pytest.param(("2024-07-06", "2024-07-07"), ["2024-07-06 (Saturday)", "2024-07-05 or 2024-07-08"], id="weekend"),
    pytest.param(("1980-01-02", "1980-01-03"), ["1980-01-02", "1990-01-02 to 2028-12-29"], id="before the calendar"),
    pytest.param(("2028-12-28", "2031-01-02"), ["2031-01-02", "1990-01-02 to 2028-12-29"], id="after the calendar"),
]


@pytest.mark.parametrize("command", ["ingest", "backtest"])
@pytest.mark.parametrize(("days", "says"), RANGES)
def test_a_range_without_sessions_names_the_days_that_would_do(
    home: Home, command: str, days: tuple[str, str], says: list[str]
) -> None:
    said = refused(2, command, "--from", days[0], "--to", days[1])
    assert all(words in said.err for words in says), said.err


def test_a_report_of_a_closed_day_names_the_sessions_beside_it(home: Home) -> None:
    assert "use 2024-07-03 or 2024-07-05" in refused(2, "report", "--session", "2024-07-04").err


@pytest.mark.parametrize(("lane", "next_step"), [("backtest", "desk backtest --from"), ("desk", "postclose")])
def test_a_book_without_a_session_names_what_makes_one(home: Home, lane: str, next_step: str) -> None:
    said = refused(2, "report", "--lane", lane)
    assert f"book {lane} has no settled session" in said.err
    assert next_step in said.err


@pytest.mark.parametrize("text", ["tomorrow", "2013-02-28T09:31:00"])
def test_a_clock_that_is_no_instant_is_named(home: Home, text: str) -> None:
    with living_in(home.root, clock=text):
        said = refused(2, "status")
    assert "DESK_CLOCK" in said.err
    assert text in said.err


# Settings and limits


def with_file(folder: Path, name: str, change: Callable[[str], str]) -> Path:
    """The committed configuration with one file changed."""
    configured(folder, {})
    path = folder / name
    path.write_text(change(path.read_text()))
    return folder


def limit(name: str, value: object) -> Callable[[str], str]:
    """The limits with one of them changed."""

    def changed(text: str) -> str:
        return yaml.safe_dump({**yaml.safe_load(text), name: value})

    return changed


BROKEN = [
    pytest.param("settings.yaml", lambda t: t.replace("slot_grace", "slot_grase"), ["slot_grase_minutes"], id="typo"),
    pytest.param("settings.yaml", lambda t: t.replace("paper:", "paper"), ["settings.yaml"], id="no YAML"),
    pytest.param("execution.yaml", lambda t: t.replace("mode: paper", "mode: live"), ["mode", "live"], id="mode"),
    pytest.param("preferences.yaml", limit("position_fraction_max", 1.5), ["position_fraction_max", "1.5"], id="limit"),
    pytest.param("preferences.yaml", limit("positions_max", -1), ["positions_max", "-1"], id="negative"),
    pytest.param(
        "preferences.yaml", limit("drawdown_halt_fraction", float("nan")), ["drawdown_halt_fraction"], id="NaN"
    ),
]


@pytest.mark.parametrize(("name", "change", "says"), BROKEN)
def test_a_broken_configuration_stops_the_decision_and_names_the_key(
    home: Home, tmp_path: Path, name: str, change: Callable[[str], str], says: list[str]
) -> None:
    config = with_file(tmp_path / "config", name, change)
    with living_in(home.root, config=config, clock="2012-12-31T09:31:00-05:00"):
        said = refused(2, "decide")
    assert name in said.err
    assert all(word in said.err for word in says), said.err


def test_a_key_that_stands_twice_is_named(home: Home, tmp_path: Path) -> None:
    config = with_file(tmp_path / "config", "settings.yaml", lambda text: text + "\npaper: {}\n")
    with living_in(home.root, config=config, clock="2012-12-31T09:31:00-05:00"):
        assert "the key 'paper' stands twice" in refused(2, "decide").err


def test_a_broken_configuration_fails_a_run_in_the_same_words(own_quarter: Home, tmp_path: Path) -> None:
    config = with_file(tmp_path / "config", "settings.yaml", lambda text: text.replace("slot_grace", "slot_grase"))
    with living_in(own_quarter.root, config=config):
        said = refused(1, "ingest", "--from", "2012-12-31", "--to", "2012-12-31")
    assert "slot_grase_minutes" in said.err
    assert "settings.yaml" in said.err


def test_a_configuration_folder_that_is_not_there_is_named(home: Home, tmp_path: Path) -> None:
    with living_in(home.root, config=tmp_path / "nowhere", clock="2012-12-31T09:31:00-05:00"):
        assert "nowhere" in refused(2, "decide").err


# What a provider cannot deliver

DAYS = ("--from", "2012-12-26", "--to", "2012-12-31")


def test_a_symbol_that_the_provider_does_not_know_is_named_with_those_it_has(files: Path) -> None:
    said = refused(1, "ingest", "--symbols", "IBM,ZZZZ", *DAYS)
    assert "files has no file of ZZZZ" in said.err
    assert "AAPL, FB, GOOG, IBM, MSFT" in said.err
    assert "trading_assets." not in said.err


def test_a_malformed_file_is_named_with_row_and_column(files: Path) -> None:
    path = files / "bars" / "daily" / "IBM.csv"
    path.write_text(path.read_text().replace("2012-12-27,", "2012-12-27,twelve", 1))
    said = refused(1, "ingest", *DAYS)
    assert "IBM.csv" in said.err
    assert "open" in said.err


def test_an_empty_answer_names_the_days(files: Path) -> None:
    said = refused(1, "ingest", "--from", "2011-01-03", "--to", "2011-01-04")
    assert "files has no 1d bar of any symbol from 2011-01-03 to 2011-01-04" in said.err
    assert "choose other symbols or days" in said.err


def test_files_without_a_folder_ask_for_one(home: Home) -> None:
    said = refused(1, "ingest", "--provider", "files", *DAYS)
    assert "--path DIR" in said.err


def test_a_folder_that_is_not_there_is_named(home: Home, tmp_path: Path) -> None:
    said = refused(1, "ingest", "--provider", "files", "--path", tmp_path / "nowhere", *DAYS)
    assert "nowhere" in said.err


def test_a_session_that_has_not_closed_is_refused(home: Home) -> None:
    with living_in(home.root, clock="2012-12-31T12:00:00-05:00"):
        said = refused(1, "ingest", "--from", "2012-12-31", "--to", "2012-12-31")
    assert "the session of 2012-12-31 has not closed" in said.err


def test_a_backtest_without_warm_up_names_the_command_that_fetches_it(home: Home) -> None:
    said = refused(2, "backtest", "--from", "2012-12-26", "--to", "2012-12-31")
    assert str(date(2012, 12, 24)) in said.err
    assert "desk ingest --from" in said.err


# SQL

NONSENSE = [
    pytest.param("select(", id="syntax"),
    pytest.param("select * from facts.nowhere", id="no such table"),
    pytest.param("select cast(symbol as integer) from facts.daily_bars", id="fails while it runs"),
    pytest.param("copy (select 1) to 'stolen.csv'", id="writes a file"),
    pytest.param("attach 'other.db'", id="opens a file"),
    pytest.param("delete from metrics_backtest.main.daily_metrics", id="changes the metrics"),
    pytest.param("insert into facts.daily_bars select * from facts.daily_bars", id="changes the facts"),
]


@pytest.mark.parametrize("query", NONSENSE)
def test_a_query_that_cannot_or_must_not_run_is_refused_with_a_hint(quarter: Home, query: str) -> None:
    said = desk("sql", query)
    assert said.code == 2
    assert said.out == ""
    assert "the query failed" in said.err
    assert "desk sql without a query lists the tables" in said.err
    assert "Traceback" not in said.err
