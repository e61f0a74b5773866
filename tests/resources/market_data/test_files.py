from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from resources.market_data.files import FileMarketData
from tests.market.frames import SHARED
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.market.ports import EmptyAnswer, MalformedAnswer, UnknownSymbol, UnsupportedRequest
from trading_assets.market.quality import judge_daily

JUNE = Span(date(2014, 6, 2), date(2014, 6, 30))
DAILY = "date,open,high,low,close,volume\n"
MINUTES = "time,open,high,low,close,volume\n"
ACTIONS = "date,kind,ratio,amount\n"
SOUND = "100,101,99,100.5,1000\n"


def write(root: Path, name: str, text: str) -> FileMarketData:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return FileMarketData(root)


def daily(root: Path, *rows: str) -> FileMarketData:
    return write(root, "daily/AAA.csv", DAILY + "".join(rows))


def minutes(root: Path, *rows: str) -> FileMarketData:
    return write(root, "intraday/1m/AAA.csv", MINUTES + "".join(rows))


def refusal(provider: FileMarketData, frequency: str = "1d") -> str:
    with pytest.raises(MalformedAnswer) as caught:
        provider.bars("AAA", "1m" if frequency == "1m" else "1d", JUNE)
    return str(caught.value)


def test_a_daily_file_becomes_bars_of_its_sessions(tmp_path: Path) -> None:
    bars = daily(tmp_path, "2014-06-10," + SOUND, "2014-06-09," + SOUND).bars("AAA", "1d", JUNE)
    assert bars["session"].to_list() == [date(2014, 6, 9), date(2014, 6, 10)]
    assert bars.row(0, named=True)["knowable_at"] == datetime(2014, 6, 9, 20, 0, tzinfo=UTC)
    assert bars.select("open", "high", "low", "close", "volume", "source").row(0) == (
        100,
        101,
        99,
        100.5,
        1000,
        "files",
    )


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    from_csv = daily(tmp_path, "2014-06-09," + SOUND).bars("AAA", "1d", JUNE)
    (tmp_path / "daily" / "AAA.csv").unlink()
    typed = {"date": [date(2014, 6, 9)], "open": [100], "high": [101], "low": [99], "close": [100.5], "volume": [1000]}
    pl.DataFrame(typed).write_parquet(tmp_path / "daily" / "AAA.parquet")
    assert FileMarketData(tmp_path).bars("AAA", "1d", JUNE).equals(from_csv)


def test_more_columns_are_allowed(tmp_path: Path) -> None:
    text = DAILY.replace("\n", ",adj_close\n") + "2014-06-09," + SOUND.replace("\n", ",90\n")
    assert write(tmp_path, "daily/AAA.csv", text).bars("AAA", "1d", JUNE).height == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2014-06-09,100,101,99,many,1000\n", ("row 3", "column close", "not a number", "many")),
        ("9.6.2014," + SOUND, ("row 3", "column date", "9.6.2014")),
        ("2014-06-10," + SOUND, ("row 2", "column date", "twice")),
        ("2014-06-08," + SOUND, ("row 3", "column date", "no session")),
        ("2014-07-04," + SOUND, ("row 3", "column date", "no session")),
    ],
)
def test_a_row_that_is_no_bar_is_refused_with_its_place(tmp_path: Path, row: str, words: tuple[str, ...]) -> None:
    message = refusal(daily(tmp_path, "2014-06-10," + SOUND, row))
    assert all(word in message for word in ("daily/AAA.csv", *words))


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "daily/AAA.csv", "date,open,high,low,close\n2014-06-09,1,1,1,1\n"))
    assert "daily/AAA.csv lacks column volume" in message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00broken", b'date,open\n"unclosed'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    provider = daily(tmp_path, "")
    (tmp_path / "daily" / "AAA.csv").write_bytes(content)
    assert "daily/AAA.csv" in refusal(provider)


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "daily/AAA.parquet cannot be read" in refusal(write(tmp_path, "daily/AAA.parquet", "PAR1 it is not"))


def test_a_parquet_column_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    daily(tmp_path, "")
    (tmp_path / "daily" / "AAA.csv").unlink()
    columns = {name: [1.0] for name in ("open", "high", "low", "volume")}
    pl.DataFrame({"date": ["2014-06-09"], **columns, "close": [[1.0]]}).write_parquet(
        tmp_path / "daily" / "AAA.parquet"
    )
    assert "column close: holds no numbers" in refusal(FileMarketData(tmp_path))


def test_two_files_of_one_symbol_overlap(tmp_path: Path) -> None:
    daily(tmp_path, "2014-06-09," + SOUND)
    message = refusal(write(tmp_path, "daily/AAA.parquet", ""))
    assert "daily/AAA.csv and daily/AAA.parquet" in message


def test_wrong_market_data_are_passed_on_and_the_gate_refuses_them(tmp_path: Path) -> None:
    provider = daily(tmp_path, "2014-06-09,100,90,99,NaN,-5\n", "2014-06-10,100,101,99,100,\n", "2014-06-12," + SOUND)
    bars = provider.bars("AAA", "1d", JUNE)
    assert bars["close"].is_nan().to_list() == [True, False, False]
    assert bars["volume"].is_nan().to_list() == [False, True, False]
    actions = provider.corporate_actions("AAA", JUNE)
    verdicts = judge_daily(bars, actions, span=Span(date(2014, 6, 9), date(2014, 6, 12)), calendar=XNYS)
    assert [verdict.passed for verdict in verdicts] == [False, False, False, True]


def test_days_before_the_calendar_cannot_be_asked_for_and_do_no_harm(tmp_path: Path) -> None:
    assert daily(tmp_path, "1985-01-01," + SOUND, "2014-06-09," + SOUND).bars("AAA", "1d", JUNE).height == 1


def test_bars_before_the_open_and_after_the_close_are_left_out(tmp_path: Path) -> None:
    clock = ("08:00", "09:29", "09:30", "15:59", "16:00", "19:59")
    provider = minutes(tmp_path, *(f"2014-06-09T{at}:00,{SOUND}" for at in clock))
    starts = provider.bars("AAA", "1m", JUNE)["start"].to_list()
    assert starts == [datetime(2014, 6, 9, 13, 30, tzinfo=UTC), datetime(2014, 6, 9, 19, 59, tzinfo=UTC)]


def test_an_early_close_ends_the_session(tmp_path: Path) -> None:
    provider = minutes(tmp_path, *(f"2014-07-03T{at}:00,{SOUND}" for at in ("12:59", "13:00", "15:00")))
    bars = provider.bars("AAA", "1m", Span(date(2014, 7, 3), date(2014, 7, 3)))
    assert bars["start"].to_list() == [datetime(2014, 7, 3, 16, 59, tzinfo=UTC)]


def test_local_times_follow_daylight_saving(tmp_path: Path) -> None:
    provider = minutes(tmp_path, f"2014-03-07T09:30:00,{SOUND}", f"2014-03-10T09:30:00,{SOUND}")
    starts = provider.bars("AAA", "1m", Span(date(2014, 3, 3), date(2014, 3, 14)))["start"].to_list()
    assert [start.hour for start in starts] == [14, 13]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"2014-03-09T02:30:00,{SOUND}", ("row 3", "column time", "skip or repeat")),
        (f"2014-06-08T10:00:00,{SOUND}", ("row 3", "column time", "no session")),
        (f"2014-06-09T09:30:00-04:00,{SOUND}", ("row 2", "column time", "twice")),
    ],
)
def test_an_intraday_row_that_is_no_bar_is_refused(tmp_path: Path, row: str, words: tuple[str, ...]) -> None:
    message = refusal(minutes(tmp_path, f"2014-06-09T09:30:00,{SOUND}", row), "1m")
    assert all(word in message for word in ("intraday/1m/AAA.csv", *words))


def test_actions_are_read(tmp_path: Path) -> None:
    provider = daily(tmp_path, "2014-06-09," + SOUND)
    write(tmp_path, "actions/AAA.csv", ACTIONS + "2014-06-09,split,7,\n2014-06-11,cash_dividend,,0.47\n")
    rows = provider.corporate_actions("AAA", JUNE).select("session", "kind", "ratio", "amount").rows()
    assert rows == [(date(2014, 6, 9), "split", 7.0, 0.0), (date(2014, 6, 11), "cash_dividend", 1.0, 0.47)]
    assert provider.corporate_actions("AAA", Span(JUNE.last, JUNE.last)).is_empty()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2014-06-09,merger,1,1\n", ("column kind", "merger")),
        ("2014-06-09,split,0,\n", ("column ratio",)),
        ("2014-06-09,split,,\n", ("column ratio",)),
        ("2014-06-09,cash_dividend,,-1\n", ("column amount",)),
        ("2014-06-08,split,2,\n", ("column date", "no session")),
        ("2014-06-10,split,2,\n", ("column date", "twice")),
    ],
)
def test_a_row_that_is_no_action_is_refused(tmp_path: Path, row: str, words: tuple[str, ...]) -> None:
    provider = daily(tmp_path, "2014-06-09," + SOUND)
    write(tmp_path, "actions/AAA.csv", ACTIONS + "2014-06-10,split,7,\n" + row)
    with pytest.raises(MalformedAnswer) as caught:
        provider.corporate_actions("AAA", JUNE)
    assert all(word in str(caught.value) for word in ("actions/AAA.csv", *words))


def test_what_the_folder_lacks_is_named(tmp_path: Path) -> None:
    provider = daily(tmp_path, "2014-06-09," + SOUND)
    write(tmp_path, "intraday/1m/BBB.csv", MINUTES)
    assert provider.symbols() == ("AAA", "BBB")
    with pytest.raises(UnknownSymbol, match=r"ZZZ.*AAA, BBB"):
        provider.bars("ZZZ", "1d", JUNE)
    with pytest.raises(EmptyAnswer, match="1m bars of AAA"):
        provider.bars("AAA", "1m", JUNE)
    with pytest.raises(UnsupportedRequest, match="5m"):
        provider.bars("AAA", "5m", JUNE)


def test_a_symbol_is_a_name_and_never_a_path(tmp_path: Path) -> None:
    with pytest.raises(UnknownSymbol):
        daily(tmp_path, "2014-06-09," + SOUND).bars("../daily/AAA", "1d", JUNE)


def test_a_folder_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        FileMarketData(tmp_path / "nowhere")


def test_real_minutes_of_an_early_close_end_at_one(tmp_path: Path) -> None:
    source = SHARED / "lean" / "minute" / "goog_1min_trade.csv"
    if not source.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    provider = write(tmp_path, "intraday/1m/GOOG.csv", source.read_text().replace("time_et_bar_start", "time"))
    bars = provider.bars("GOOG", "1m", Span(date(2015, 12, 23), date(2015, 12, 28)))
    assert bars.group_by("session", maintain_order=True).len()["len"].to_list() == [390, 210, 382]
