"""Each strategy enters on a setup made for it, and does not when any single condition fails."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import SLOT, breakout, dip, known, return_to_mean, scene, slot_at, told
from trading_assets.briefs.facts import SymbolFacts
from trading_assets.plans.strategies import STRATEGIES, Setup, acting, acts
from trading_assets.plans.strategies.model import reward_to_risk
from trading_assets.plans.strategies.swing import (
    mean_reversion,
    momentum_breakout,
    narrative_momentum,
    pullback,
    sector_momentum,
    sector_rotation,
)

Made = Callable[..., SymbolFacts]
NAN = float("nan")
ALL = tuple(STRATEGIES)


def leader(symbol: str = "AAA", momentum: float | None = 0.2, **changed: float | None) -> SymbolFacts:
    """A symbol with a year behind it: close 100 above SMA(50) of 99, ATR 2."""
    row = {"atr_14": 2.0, "sma_50": 99.0, "mom_252_21": momentum, **changed}
    return known("mixed", {"close": 100.0, "low": 99.0, "volume": 1e6}, row, symbol=symbol)


SETUPS: dict[str, Made] = {"momentum_breakout": breakout, "mean_reversion": dip, "pullback": return_to_mean}
NEEDED = {
    "momentum_breakout": ("atr_14", "volume_mean_20", "high_20", "close", "volume"),
    "mean_reversion": ("rsi_14", "bb_lower_20_2", "bb_middle_20_2", "atr_14", "low"),
    "pullback": ("ema_50", "atr_14", "high_20", "sma_200", "close", "low"),
}


def _setup(name: str, **changed: Any) -> Setup | None:
    rule = STRATEGIES[name].setup
    assert rule is not None
    return rule(scene(SETUPS[name](**changed)))


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
        {"atr_14": 0.0},
        {"atr_14": 51.0},
    ],
    ids=["touches the high", "closes below it", "thin volume", "no range", "stop below nothing"],
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
        {"ema_50": 100.0, "atr_14": 100.0},
    ],
    ids=["not near", "closed below the mean", "below the long mean", "stop below nothing"],
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


def test_the_views_gate_as_the_documented_table_says() -> None:
    gates = {name: (each.views, each.short_views, each.holding_sessions_max) for name, each in STRATEGIES.items()}
    calm = ("trending_bull", "range", "mild_trend", "mixed")
    assert gates == {
        "momentum_breakout": (("trending_bull",), (), 20),
        "mean_reversion": (("range",), (), 10),
        "pullback": (("mild_trend",), (), 15),
        "sector_rotation": (("mixed",), (), 20),
        "vwap_momentum": (("trending_bull", "mild_trend", "mixed"), (), 1),
        "correlation_convergence": (calm, ("trending_bear", "range", "mild_trend", "mixed"), 20),
        "narrative_momentum": (calm, (), 10),
        "weekly_portfolio": (calm, (), 65),
    }


def test_no_strategy_buys_into_a_falling_or_an_unknown_view_and_only_pairs_sell_short() -> None:
    for name, strategy in STRATEGIES.items():
        assert not {"trending_bear", "unknown"} & set(strategy.views_of("long"))
        assert "unknown" not in strategy.views_of("short")
        assert bool(strategy.views_of("short")) == (name == "correlation_convergence")


def test_swing_strategies_act_at_the_open_and_the_intraday_one_after_it_until_the_last_hour() -> None:
    assert [s.name for s in acting(SLOT, ALL)] == sorted(set(ALL) - {"vwap_momentum"})
    for label, acts_now in {"10:00": True, "14:30": True, "15:00": False, "15:30": False}.items():
        assert [s.name for s in acting(slot_at(label), ALL)] == (["vwap_momentum"] if acts_now else [])


def test_on_an_early_close_the_last_hour_begins_earlier() -> None:
    half = date(2012, 11, 23)
    assert acting(slot_at("11:30", half), ALL)
    assert not acting(slot_at("12:00", half), ALL)


def test_a_slot_in_which_nothing_can_happen_does_not_act() -> None:
    assert acts(SLOT, ("pullback",))
    assert acts(SLOT, ("vwap_momentum",)), "holdings are judged at the open"
    assert not acts(slot_at("10:00"), ("pullback", "mean_reversion"))
    assert acts(slot_at("10:00"), ALL)
    assert not acts(slot_at("15:00"), ALL)


def test_sector_rotation_buys_the_strongest_symbol_of_the_strongest_sector() -> None:
    """Sector one: 0.2 and 0.4, mean 0.3; sector two: 0.35, the highest single symbol is not in it but the mean decides."""
    symbols = {"AAA": 0.2, "BBB": 0.4, "CCC": 0.35, "DDD": -0.1}
    sectors = {"AAA": "one", "BBB": "one", "CCC": "two", "DDD": "three"}
    all_of = [leader(symbol, momentum) for symbol, momentum in symbols.items()]
    bought = [
        each.symbol
        for each in all_of
        if sector_rotation(scene(each, *(o for o in all_of if o is not each), sectors=sectors))
    ]
    assert bought == ["CCC"]


def test_sector_rotation_risks_two_atr_for_three_and_a_fifth() -> None:
    weaker = leader("BBB", 0.1)
    assert _prices(sector_rotation(scene(leader(), weaker))) == ("100.5000", "96.5000", "106.9000")


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (leader(momentum=0.1), leader("BBB", 0.2)),
        (leader(momentum=-0.1), leader("BBB", -0.2)),
        (leader(sma_50=100.0), leader("BBB", 0.1)),
        (leader(atr_14=None), leader("BBB", 0.1)),
        (leader(), leader("BBB", None)),
        (leader(), leader("BBB", NAN)),
    ],
    ids=["not the strongest", "falling", "not above its mean", "no ATR", "nothing to compare with", "NaN beside it"],
)
def test_sector_rotation_does_not_enter_when_one_condition_fails(mine: SymbolFacts, other: SymbolFacts) -> None:
    assert sector_rotation(scene(mine, other)) is None


def test_a_symbol_without_a_sector_counts_for_none() -> None:
    facts = scene(leader(), leader("BBB", 0.9)).facts
    assert sector_momentum(facts, {"AAA": "one"}) == {"one": {"AAA": 0.2}}


def test_equal_sectors_are_ordered_by_name_so_that_one_symbol_is_bought() -> None:
    one, two = leader("AAA"), leader("BBB")
    assert sector_rotation(scene(one, two)) is not None
    assert sector_rotation(scene(two, one)) is None


@pytest.mark.parametrize("changed", [{}, {"edge": "medium"}, {"stage": "nascent"}, {"direction": 0.01}])
def test_narrative_momentum_follows_a_young_story_with_an_edge(changed: dict[str, Any]) -> None:
    setup = narrative_momentum(scene(leader(), narrative=told(**changed)))
    assert _prices(setup) == ("100.5000", "96.5000", "106.9000")


@pytest.mark.parametrize(
    "changed",
    [
        {"edge": "low"},
        {"edge": "none"},
        {"stage": "peak"},
        {"stage": "declining"},
        {"stage": "dead"},
        {"direction": 0.0},
        {"direction": -0.5},
        {"session": date(2012, 6, 14)},
        {"as_of": SLOT.at + timedelta(microseconds=1)},
    ],
    ids=str,
)
def test_narrative_momentum_does_not_enter_when_one_condition_fails(changed: dict[str, Any]) -> None:
    assert narrative_momentum(scene(leader(), narrative=told(**changed))) is None


def test_without_a_story_or_an_atr_there_is_no_narrative_setup() -> None:
    assert narrative_momentum(scene(leader())) is None
    assert narrative_momentum(scene(leader(atr_14=NAN), narrative=told())) is None


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
    "sma_50",
)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_every_setup_has_its_stop_below_its_entry_and_its_target_above(data: st.DataObject) -> None:
    close = data.draw(_PRICE)
    near = st.one_of(st.floats(close * 0.8, close * 1.2), _PRICE, st.just(0.0))
    bar = {name: data.draw(near) for name in ("open", "high", "low")} | {"close": close, "volume": data.draw(_PRICE)}
    row = {name: data.draw(near) for name in _COLUMNS} | {"mom_252_21": 0.1}
    facts = known("range", bar, row, {"high_20": data.draw(near)})
    weak = leader("BBB", -0.5)
    seen = scene(facts, weak, narrative=told())
    for rule in (momentum_breakout, mean_reversion, pullback, sector_rotation, narrative_momentum):
        setup = rule(seen)
        if setup is not None:
            assert 0 < setup.stop < setup.entry < setup.target
            assert setup.entry <= facts.price * Decimal("1.005") + Decimal("0.005")
            assert setup.entry % Decimal("0.01") == 0
            assert reward_to_risk(setup.entry, setup.stop, setup.target) > 0
            assert setup.reasons
