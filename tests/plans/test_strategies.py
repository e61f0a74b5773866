"""Each strategy enters on a setup made for it, and does not when any single condition fails."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import breakout, dip, known, return_to_mean, thesis
from trading_assets.briefs.facts import SymbolFacts
from trading_assets.plans.strategies import ENTRY_CAP, STRATEGIES, Setup, mean_reversion, momentum_breakout, pullback

Made = Callable[..., SymbolFacts]
NAN = float("nan")
SETUPS: dict[str, Made] = {"momentum_breakout": breakout, "mean_reversion": dip, "pullback": return_to_mean}
NEEDED = {
    "momentum_breakout": ("atr_14", "volume_mean_20", "high_20", "close", "volume"),
    "mean_reversion": ("rsi_14", "bb_lower_20_2", "bb_middle_20_2", "atr_14", "low"),
    "pullback": ("ema_50", "atr_14", "high_20", "sma_200", "close", "low"),
}


def _setup(name: str, **changed: Any) -> Setup | None:
    confidence = changed.pop("confidence", 0.55)
    return STRATEGIES[name].setup(SETUPS[name](**changed), thesis(confidence=confidence))


def _prices(setup: Setup | None) -> tuple[str, str, str] | None:
    return (str(setup.entry), str(setup.stop), str(setup.target)) if setup else None


def test_momentum_breakout_risks_two_atr_for_three_and_a_fifth() -> None:
    assert _prices(_setup("momentum_breakout")) == ("100.5000", "96.5000", "106.9000")


def test_mean_reversion_aims_at_the_middle_band_and_risks_its_distance_over_one_point_six() -> None:
    assert _prices(_setup("mean_reversion")) == ("100.5000", "94.5600", "110.0000")


def test_pullback_stops_one_atr_below_the_mean_and_aims_at_the_swing_high() -> None:
    assert _prices(_setup("pullback")) == ("100.5000", "97.0000", "112.0000")


def test_pullback_aims_at_one_point_eight_times_the_risk_when_the_swing_high_is_nearer() -> None:
    assert _prices(_setup("pullback", high_20=103.0)) == ("100.5000", "97.0000", "106.8000")


@pytest.mark.parametrize(
    "changed",
    [
        {"high_20": 100.0},
        {"close": 99.99},
        {"volume": 1_199_999.0},
        {"confidence": 0.549999},
        {"atr_14": 0.0},
        {"atr_14": 51.0},
    ],
    ids=["touches the high", "closes below it", "thin volume", "little confidence", "no range", "stop below nothing"],
)
def test_momentum_breakout_does_not_enter_when_one_condition_fails(changed: dict[str, float]) -> None:
    assert _setup("momentum_breakout", **changed) is None


@pytest.mark.parametrize(
    "changed",
    [{"rsi_14": 30.0, "low": 99.0}, {"bb_middle_20_2": 102.09}, {"bb_middle_20_2": 99.0}, {"atr_14": 12.0}],
    ids=["neither oversold nor pierced", "too near", "mean below the price", "less than half an ATR to risk"],
)
def test_mean_reversion_does_not_enter_when_one_condition_fails(changed: dict[str, float]) -> None:
    assert _setup("mean_reversion", **changed) is None


@pytest.mark.parametrize("changed", [{"rsi_14": 50.0}, {"low": 99.5}], ids=["band alone", "RSI alone"])
def test_mean_reversion_needs_only_one_of_its_two_signs(changed: dict[str, float]) -> None:
    assert _setup("mean_reversion", **changed) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"low": 100.01},
        {"ema_50": 100.01},
        {"sma_200": 100.01},
        {"confidence": 0.549999},
        {"ema_50": 100.0, "atr_14": 100.0},
    ],
    ids=["not near", "closed below the mean", "below the long mean", "little confidence", "stop below nothing"],
)
def test_pullback_does_not_enter_when_one_condition_fails(changed: dict[str, float]) -> None:
    assert _setup("pullback", **changed) is None


@pytest.mark.parametrize(("name", "column"), [(name, column) for name in NEEDED for column in NEEDED[name]])
@pytest.mark.parametrize("value", [None, NAN, float("inf")], ids=["missing", "NaN", "infinite"])
def test_a_value_that_is_missing_or_not_a_number_is_no_setup(name: str, column: str, value: float | None) -> None:
    assert _setup(name, **{column: value}) is None


def test_a_crash_that_would_put_the_stop_below_nothing_is_no_setup() -> None:
    """The middle band of a stock that lost two thirds in a day lies more than 2.6 entries away."""
    fallen = {"close": 30.0, "low": 29.0, "bb_lower_20_2": 60.0, "bb_middle_20_2": 95.0}
    assert _setup("mean_reversion", **fallen) is None


def test_each_strategy_has_its_own_view_so_that_two_never_ask_for_one_symbol() -> None:
    views = [strategy.view for strategy in STRATEGIES.values()]
    assert sorted(views) == ["mild_trend", "range", "trending_bull"]
    assert {s.name: s.holding_sessions_max for s in STRATEGIES.values()} == {
        "momentum_breakout": 20,
        "mean_reversion": 10,
        "pullback": 15,
    }


_PRICE = st.floats(0.5, 5_000.0)
_COLUMNS = (
    "atr_14",
    "rsi_14",
    "volume_mean_20",
    "bb_lower_20_2",
    "bb_middle_20_2",
    "ema_50",
    "high_20",
    "sma_200",
)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_every_setup_has_its_stop_below_its_entry_and_its_target_above(data: st.DataObject) -> None:
    close = data.draw(_PRICE)
    near = st.one_of(st.floats(close * 0.8, close * 1.2), _PRICE, st.just(0.0))
    bar = {name: data.draw(near) for name in ("open", "high", "low")} | {"close": close, "volume": data.draw(_PRICE)}
    row = {name: data.draw(near) for name in _COLUMNS}
    facts = known("range", bar, row, {"high_20": data.draw(near)})
    for rule in (momentum_breakout, mean_reversion, pullback):
        setup = rule(facts, thesis())
        if setup is not None:
            assert 0 < setup.stop < setup.entry < setup.target
            assert setup.entry <= facts.price * ENTRY_CAP + Decimal("0.005")
            assert setup.entry % Decimal("0.01") == 0
            assert setup.reasons
