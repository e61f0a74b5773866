"""vwap_momentum reads only a fresh bar of its own session, and is flat at the close."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import BEFORE, bar_at, known, scene, slot_at
from trading_assets.briefs.facts import SymbolFacts
from trading_assets.plans.strategies import Setup
from trading_assets.plans.strategies.intraday import fresh_bar, vwap_momentum

ELEVEN = slot_at("11:00")
NAN = float("nan")


def _daily(close: float = 100.0, atr: float | None = 1.51) -> SymbolFacts:
    return known("trending_bull", {"close": close}, {"atr_14": atr})


def _setup(day: SymbolFacts | None = None, **changed: Any) -> Setup | None:
    minutes = changed.pop("minutes_old", 0)
    row = bar_at(ELEVEN, minutes_old=minutes, **changed)
    return vwap_momentum(scene(day or _daily(), slot=ELEVEN, intraday={"AAA": row}))


def test_it_aims_at_one_point_four_percent_risks_zero_point_eight_and_is_flat_at_the_close() -> None:
    setup = _setup()
    assert setup is not None
    assert (setup.reference, setup.entry) == (Decimal("100.0"), Decimal("100.10"))
    assert (setup.stop, setup.target) == (Decimal("99.30"), Decimal("101.50"))
    assert setup.flat_by_close


def test_its_price_is_that_of_the_bar_and_its_range_that_of_the_day() -> None:
    """A stock that opened 10 % lower: the daily ATR is a share of the daily close, whatever the price is now."""
    setup = _setup(_daily(close=111.0, atr=1.7))
    assert setup is not None
    assert setup.reference == 100


@pytest.mark.parametrize(
    "changed",
    [
        {"close": 99.0},
        {"rsi_14": 60.0},
        {"close": None},
        {"vwap_20": None},
        {"rsi_14": NAN},
        {"close": -1.0, "vwap_20": -2.0},
        {"minutes_old": 31},
        {"minutes_old": -1},
        {"session": BEFORE},
        {"frequency": "1d"},
        {"frequency": "1h"},
        {"start": None},
        {"knowable_at": None},
        {"knowable_at": ELEVEN.at + timedelta(microseconds=1)},
    ],
    ids=str,
)
def test_it_does_not_enter_when_one_condition_fails(changed: dict[str, Any]) -> None:
    assert _setup(**changed) is None


@pytest.mark.parametrize("day", [_daily(atr=1.5), _daily(atr=None), _daily(close=NAN), _daily(close=0.0)])
def test_it_does_not_enter_a_calm_or_an_unmeasured_stock(day: SymbolFacts) -> None:
    assert _setup(day) is None


def test_it_does_not_enter_without_a_bar_of_its_symbol() -> None:
    assert vwap_momentum(scene(_daily(), slot=ELEVEN)) is None
    other = {"BBB": bar_at(ELEVEN, symbol="BBB")}
    assert vwap_momentum(scene(_daily(), slot=ELEVEN, intraday=other)) is None


@settings(deadline=None, max_examples=25)
@given(st.integers(-120, 120), st.integers(0, 90))
def test_a_bar_is_fresh_for_thirty_minutes_after_its_end_and_never_before_it_was_known(minutes: int, late: int) -> None:
    row = bar_at(ELEVEN, minutes_old=minutes)
    row["knowable_at"] += timedelta(minutes=late)
    assert (fresh_bar(row, ELEVEN) is not None) == (0 <= minutes <= 30 and late <= minutes)
