"""A rehearsal's home reaches nobody: no model is paid, nobody is called, no key is handed on, the operator's home is left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from desk.rehearsing import home as homes
from desk.rehearsing.past import CRASH_DEPTH, REBOUND_MINUTES, crashed
from desk.rehearsing.plan import SYMBOLS
from tests.rehearsal.test_plan import asked
from trading_assets.broker.settings import load_execution
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.operations import load_operations
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import PROJECT, Home, load_settings
from trading_assets.reasoning.settings import load_reasoning

CONFIG = PROJECT / "config"
AT = datetime(2023, 6, 26, 14, 0, tzinfo=UTC)


def dangerous(folder: Path) -> Path:
    """An operator's configuration that trades live, pays models and calls a phone."""
    folder.mkdir()
    for path in CONFIG.glob("*.yaml"):
        text = path.read_text()
        text = (
            text.replace("broker: bars ", "broker: ib ")
            .replace("mode: paper", "mode: live")
            .replace("mode: rules", "mode: models")
        )
        text = text.replace('account: ""', 'account: "U1234567"')
        text = text.replace("channels: []", "channels: [{name: phone, url_variable: DESK_PHONE_URL}]")
        (folder / path.name).write_text(text)
    return folder


def test_a_dangerous_configuration_becomes_a_harmless_one_and_is_itself_left_as_it_was(tmp_path: Path) -> None:
    source = dangerous(tmp_path / "operator")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    homes.configure(source, tmp_path / "config", asked(slots="09:30,11:00"))
    execution = load_execution(tmp_path / "config")
    assert (execution.broker, execution.mode, execution.feed.quotes, execution.second_prices) == (
        "paper",
        "paper",
        "lake",
        "lake",
    )
    assert load_reasoning(tmp_path / "config").mode == "rules"
    assert "channels: []" in (tmp_path / "config" / "notifications.yaml").read_text()
    settings = load_settings(tmp_path / "config")
    assert (settings.market.provider, settings.decisions.slots) == ("simulated", ("09:30", "11:00"))
    operations = load_operations(tmp_path / "config")
    assert (operations.runs.launcher, operations.day.premarket_from, operations.telemetry.prometheus_port) == (
        "warm",
        "08:15",
        0,
    )
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_the_operators_limits_are_those_of_the_rehearsal_to_the_byte(tmp_path: Path) -> None:
    homes.configure(CONFIG, tmp_path / "config", asked())
    assert load_preferences(tmp_path / "config" / "preferences.yaml") == load_preferences(CONFIG / "preferences.yaml")


def test_no_key_of_the_operators_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "DESK_PHONE_URL", "LEDGER_URL", "SOME_TOKEN"):
        monkeypatch.setenv(name, "CANARY")
    monkeypatch.setenv("DESK_HOME", "the operator's")
    given = homes.environment(tmp_path, tmp_path / "config", "a clock")
    assert "CANARY" not in given.values()
    assert (given["DESK_HOME"], given["DAGSTER_HOME"], given["DESK_CLOCK"]) == (
        str(tmp_path),
        str(tmp_path / "dagster"),
        "a clock",
    )


def test_each_rehearsal_has_a_folder_of_its_own_and_one_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    home, day = Home(tmp_path), asked()
    first, second = (homes.new_folder(home, day, None) for _ in range(2))
    assert [each.name for each in (first, second)] == ["2023-06-26-1", "2023-06-26-2"]
    assert homes.new_folder(home, day, tmp_path / "mine") == (tmp_path / "mine").resolve()
    (tmp_path / "mine" / "a file").touch()
    with pytest.raises(PermanentFailure, match="empty folder"):
        homes.new_folder(home, day, tmp_path / "mine")


def test_as_many_symbols_as_were_asked_for_live_through_the_whole_past_in_known_sectors() -> None:
    chosen = homes.simulated_instruments(asked())
    assert len({each["symbol"] for each in chosen}) == SYMBOLS
    assert all(each["sector"] for each in chosen)
    assert chosen == homes.simulated_instruments(asked())
    assert chosen != homes.simulated_instruments(replace(asked(), seed=8))
    assert homes.simulated_instruments(replace(asked(), symbols=3)) == chosen[:3]


def minutes() -> pl.DataFrame:
    """Two hours of three symbols that stand still at 100."""
    rows = [
        {"symbol": name, "start": AT + timedelta(minutes=n), **dict.fromkeys(("open", "high", "low", "close"), 100.0)}
        for name in ("AAA", "BBB", "CCC")
        for n in range(-30, 90)
    ]
    return pl.DataFrame(rows)


def test_a_flash_crash_takes_more_than_half_of_the_symbols_down_within_a_minute_and_back() -> None:
    after = crashed(minutes(), AT)
    bottom = after.filter(pl.col("start") == AT)
    assert bottom["close"].to_list() == [100 * (1 - CRASH_DEPTH)] * 2 + [100.0]
    before = after.filter((pl.col("start") < AT) | (pl.col("start") > AT + timedelta(minutes=REBOUND_MINUTES + 1)))
    assert set(before["close"].to_list()) == {100.0}
    back = after.filter((pl.col("symbol") == "AAA") & (pl.col("start") >= AT))["close"]
    assert back.is_sorted()


def test_a_crash_leaves_bars_that_are_bars() -> None:
    moving = minutes().with_columns((pl.col("high") + 1).alias("high"), (pl.col("low") - 1).alias("low"))
    after = crashed(moving, AT)
    assert (after["high"] >= after["close"]).all()
    assert (after["low"] <= after["close"]).all()
    assert after.columns == moving.columns
