"""A slip of the hand in a settings file is an error that names key, value and bound."""

from pathlib import Path

import pytest

from resources.desk import DeskResource
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.preferences import Preferences, load_preferences
from trading_assets.core.settings import config_folder, load_settings
from trading_assets.core.strict_yaml import Strict, load_model

SHIPPED = config_folder()


class Sample(Strict):
    name: str
    share: float
    count: int = 1


def test_the_shipped_files_load() -> None:
    assert load_settings(SHIPPED).market.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert load_preferences(SHIPPED / "preferences.yaml")[0] == Preferences()


@pytest.mark.fault(107)
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\nshare: 0.5\nshaer: 0.5", "shaer: Extra inputs are not permitted"),
        ("name: a\nname: b\nshare: 0.5", r"'name' stands twice.*sample\.yaml.*line 2"),
        ("name: a\nshare: .nan", "share"),
        ("name: a\nshare: '0.5'", "share: Input should be a valid number"),
        ("name: a\nshare: 0.5\ncount: 1.5", "count"),
        ("name: a\nshare: 0.5\ncount: true", "count"),
        ("name: 12:30:00\nshare: 1e999", "share"),
        ("share: 0.5", "name: Field required"),
        ("name: [a\nshare: 0.5", "is not YAML"),
        ("- 1", "sample.yaml"),
        ("name: !!python/name:os.system\nshare: 0.5", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_fault(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "sample.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_model(path, Sample)


def test_words_that_older_yaml_turns_into_other_types_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "sample.yaml"
    for text in ("NO", "12:30:00", "2024-07-05", "on"):
        path.write_text(f"name: {text}\nshare: 1")
        assert load_model(path, Sample).name == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing.*gone\.yaml"):
        load_model(tmp_path / "gone.yaml", Sample)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_fraction_max", "0.3"),
        ("position_fraction_max", "-0.05"),
        ("positions_max", "0"),
        ("daily_loss_halt_fraction", "0.2"),
        ("reward_to_risk_min", "0.5"),
        ("order_notional_usd_max", "0"),
        ("daily_loss_reduce_only_fraction", "0.05"),
    ],
)
def test_a_limit_out_of_range_is_refused_with_key_and_value(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "preferences.yaml"
    path.write_text(_replaced(SHIPPED / "preferences.yaml", key, value))
    with pytest.raises(ConfigurationError, match="preferences.yaml.*daily_loss_reduce|" + key):
        load_preferences(path)


def test_one_changed_byte_changes_the_pinned_hash(tmp_path: Path) -> None:
    path = tmp_path / "preferences.yaml"
    path.write_bytes((SHIPPED / "preferences.yaml").read_bytes() + b"#")
    assert load_preferences(path)[1] != load_preferences(SHIPPED / "preferences.yaml")[1]


def test_limits_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Preferences().positions_max = 50


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("slots", '["10:00", "09:30"]', "ascend"),
        ("slots", '["9:30"]', "09:30|Invalid|HH:MM"),
        ("strategies", "[martingale]", "strategies"),
        ("provider", "bloomberg", "provider"),
        ("provider", "files", "provider files needs files_path"),
        ("fallbacks", "[files]", "provider files needs files_path"),
        ("fallbacks", "[embedded]", "must be different sources"),
        ("cross_check", "{provider: embedded}", "must be different sources"),
        ("cross_check", "{provider: yfinance, price_tolerance_bp: 0}", "price_tolerance_bp"),
        ("ib", "{port: 70000}", "port"),
        ("simulated_seed", "-1", "simulated_seed"),
        ("slot_grace_minutes", "0", "slot_grace_minutes"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, key: str, value: str, complaint: str) -> None:
    (tmp_path / "settings.yaml").write_text(_replaced(SHIPPED / "settings.yaml", key, value))
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(tmp_path)


def test_a_symbol_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = (SHIPPED / "settings.yaml").read_text().replace("symbol: FB", "symbol: AAPL")
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="a symbol stands twice"):
        load_settings(tmp_path)


LIVES = """    - {symbol: FB-20030328, ticker: FB, sector: A, first_session: 1999-09-29, last_session: %s}
    - {symbol: FB, sector: Interactive media, first_session: 2012-05-18}"""


def lives(tmp_path: Path, last_session: str) -> Path:
    text = (SHIPPED / "settings.yaml").read_text()
    (tmp_path / "settings.yaml").write_text(
        text.replace("    - {symbol: FB, sector: Interactive media}", LIVES % last_session)
    )
    return tmp_path


def test_a_life_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="first_session 1999-09-29 is after last_session 1999-01-04"):
        load_settings(lives(tmp_path, "1999-01-04"))


def test_two_owners_of_one_ticker_at_once_stop_whoever_reads_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_CONFIG", str(lives(tmp_path, "2003-03-28")))
    assert "FB-20030328" in DeskResource().settings().market.symbols
    lives(tmp_path, "2012-05-18")
    with pytest.raises(ConfigurationError, match="FB"):
        DeskResource().settings()


def _replaced(path: Path, key: str, value: str) -> str:
    lines = path.read_text().splitlines()
    changed = [f"{line.split(key)[0]}{key}: {value}" if line.strip().startswith(f"{key}:") else line for line in lines]
    assert changed != lines
    return "\n".join(changed)
