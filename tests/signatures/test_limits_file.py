"""The limits: nothing but the file and the ceilings counts, a flipped bit is another file, and no value passes a ceiling."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.at_sending import refused, sent
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.preferences import Preferences, load_preferences
from trading_assets.core.settings import config_folder

SHIPPED = config_folder() / "preferences.yaml"
PINNED = load_preferences(SHIPPED)[1]
NUMBERS = sorted(name for name, each in Preferences.model_fields.items() if each.annotation in {int, float})
CEILINGS: dict[str, tuple[Any, Any]] = {
    "net_exposure_fraction_max": (1.0, 1.01),
    "stop_outs_reduce_only": (20, 21),
    "collar_fraction_max": (0.10, 0.11),
    "marketable_fraction_max": (0.02, 0.021),
    "orders_per_minute_max": (60, 61),
    "orders_per_day_max": (1_000, 1_001),
    "symbol_pause_seconds_min": (10.0, 9.9),
    "entries_per_symbol_max": (10, 11),
    "universe_max": (600, 601),
    "average_volume_min": (10_000, 9_999),
    "margin_fraction_max": (0.90, 0.91),
    "entries_from": ("09:30", "09:29"),
    "entries_until": ("15:45", "15:46"),
    "reopening_minutes_min": (1.0, 0.9),
    "quote_age_seconds_max": (15.0, 15.1),
    "bar_age_intervals_max": (5.0, 5.1),
    "clock_skew_seconds_max": (5.0, 5.1),
    "second_price_fraction_max": (0.05, 0.051),
    "capital_excess_usd_max": (100_000.0, 100_001.0),
    "reconciled_seconds_max": (60.0, 61.0),
    "position_fraction_max": (0.25, 0.26),
    "positions_max": (50, 51),
    "sector_fraction_max": (1.0, 1.1),
    "gross_exposure_fraction_max": (1.0, 1.1),
    "order_notional_usd_max": (1_000_000.0, 1_000_001.0),
    "order_quantity_max": (100_000, 100_001),
    "order_share_of_volume_max": (0.10, 0.11),
    "price_usd_min": (1.0, 0.99),
    "risk_per_trade_fraction_max": (0.05, 0.051),
    "stop_distance_fraction_max": (0.25, 0.26),
    "reward_to_risk_min": (1.0, 0.99),
    "daily_loss_halt_fraction": (0.10, 0.11),
    "drawdown_halt_fraction": (0.10, 0.11),
    "related_risk_fraction_max": (0.10, 0.11),
    "short_exposure_fraction_max": (1.0, 1.1),
}
BELOW_ANOTHER = {"daily_loss_reduce_only_fraction", "stop_distance_fraction_min", "short_selling", "add_to_losers"}


def written(folder: Path, key: str, value: str) -> Path:
    """The shipped file with one line otherwise."""
    lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in SHIPPED.read_text().splitlines()]
    path = folder / "preferences.yaml"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("key", sorted(CEILINGS))
def test_a_limit_reaches_its_ceiling_and_no_further(key: str, tmp_path: Path) -> None:
    highest, beyond = CEILINGS[key]
    quoted = '"{}"'.format if isinstance(highest, str) else str
    assert getattr(load_preferences(written(tmp_path, key, quoted(highest)))[0], key) == highest
    with pytest.raises(ConfigurationError, match="preferences.yaml"):
        load_preferences(written(tmp_path, key, quoted(beyond)))


def test_every_limit_has_a_ceiling_or_stands_below_one_that_has() -> None:
    assert set(CEILINGS) | BELOW_ANOTHER == set(Preferences.model_fields)


@pytest.mark.fault(72)
@pytest.mark.parametrize("value", [".nan", ".inf", "nan", "-1", "1e999", "'0.5'", "null", "true", "[0.5]", "5 %"])
@pytest.mark.parametrize("key", NUMBERS)
def test_a_limit_that_is_no_number_in_range_stops_the_desk(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=key):
        load_preferences(written(tmp_path, key, value))


@pytest.mark.parametrize(
    ("begin", "end"), [("15:30", "09:30"), ("10:00", "10:00"), ("9:30", "15:30"), ("09:30", "24:00"), ("09:30", "noon")]
)
def test_entry_hours_that_are_none_stop_the_desk(begin: str, end: str, tmp_path: Path) -> None:
    path = written(tmp_path, "entries_from", f'"{begin}"')
    path.write_text(path.read_text().replace('entries_until: "15:30"', f'entries_until: "{end}"'))
    with pytest.raises(ConfigurationError, match="entries"):
        load_preferences(path)


@pytest.mark.control("C32")
@settings(deadline=None, max_examples=25)
@given(place=st.integers(0, len(SHIPPED.read_bytes()) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_is_another_file_or_none(
    place: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flipped = bytearray(SHIPPED.read_bytes())
    flipped[place] ^= 1 << bit
    path = tmp_path_factory.mktemp("limits") / "preferences.yaml"
    path.write_bytes(flipped)
    try:
        _, found = load_preferences(path)
    except (ConfigurationError, UnicodeDecodeError):
        return
    assert found != PINNED
    assert refused(sent(limits_hash=found, pinned_hash=PINNED, intent_hash=PINNED)) == ["C32"]


@pytest.mark.control("C32")
def test_the_environment_changes_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Preferences.model_fields:
        for prefix in ("", "DESK_", "PREFERENCES_", "DESK_PREFERENCES__"):
            monkeypatch.setenv(f"{prefix}{name}".upper(), "1000000")
            monkeypatch.setenv(f"{prefix}{name}", "1000000")
    assert load_preferences(SHIPPED) == (Preferences(), PINNED)


def test_a_limit_is_never_infinite() -> None:
    numbers = [value for value in Preferences().model_dump().values() if isinstance(value, float)]
    assert len(numbers) > 20
    assert all(math.isfinite(value) for value in numbers)
