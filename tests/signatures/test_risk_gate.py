"""The risk gate: every control trips at its bound, every field of the preferences is enforced, nothing is ever enlarged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import LIMITS, LOOSE, SLOT, holding, leaving, plan, portfolio, short
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Holding, Pending, Portfolio
from trading_assets.signatures.model import VERDICTS, Verdict
from trading_assets.signatures.risk_gate import CONTROLS, EXIT_CONTROLS, Surroundings, judge, verdict_rows
from trading_assets.signatures.state import StateRuling, TradingState

SECTORS = {"AAA": "Software", "BBB": "Software", "CCC": "Banks", **{f"H{n}": f"sector {n}" for n in range(9)}}
STATE_FIELDS = frozenset({"daily_loss_reduce_only_fraction", "daily_loss_halt_fraction", "drawdown_halt_fraction"})


def around(
    book: Portfolio | None = None,
    preferences: Preferences = LOOSE,
    *,
    state: TradingState = "ACTIVE",
    volume: float | None = 1_000_000.0,
    sectors: Mapping[str, str] = SECTORS,
) -> Surroundings:
    """100,000 USD in cash, an active desk and limits that stop nothing, unless said otherwise."""
    volumes = {"AAA": volume} if volume is not None else {}
    return Surroundings(book or portfolio(), StateRuling(state, "as said"), sectors, volumes, preferences)


def tight(**limits: Any) -> Preferences:
    """Loose limits but for these."""
    return Preferences(**{**LOOSE.model_dump(), **limits})


def _told(verdict: Verdict) -> tuple[str, int, list[str]]:
    return verdict.ruling, verdict.quantity, [breach.control for breach in verdict.breaches]


@dataclass(frozen=True)
class Bound:
    """A plan exactly at one control's bound, and how little more the control refuses.

    `tighter` is the field's value one step below `value`; both are written as the preferences file would have them.
    """

    control: str
    limit: str
    value: float
    tighter: float
    at: TradePlan
    beyond: TradePlan
    allowed_beyond: int
    surroundings: Mapping[str, Any] = field(default_factory=dict)


NINE = [holding(f"H{n}", 1) for n in range(9)]
BOUNDS = (
    Bound("C3", "order_quantity_max", 100, 99, plan(100), plan(101), 100),
    Bound("C4", "order_notional_usd_max", 5_000.0, 4_999.99, plan(100), plan(100, entry="50.01"), 99),
    Bound("C7", "position_fraction_max", 0.05, 0.0499999, plan(100), plan(101), 100),
    Bound("C8", "positions_max", 8, 7, plan(), plan(), 0, {"book": portfolio(*NINE[:7], cash=99_993)}),
    Bound(
        "C9",
        "gross_exposure_fraction_max",
        0.55,
        0.5499999,
        plan(100),
        plan(101),
        100,
        {"book": portfolio(holding("CCC", 50_000), cash=50_000)},
    ),
    Bound(
        "C10",
        "sector_fraction_max",
        0.25,
        0.2499999,
        plan(100),
        plan(101),
        100,
        {"book": portfolio(holding("BBB", 20_000), holding("CCC", 30_000), cash=50_000)},
    ),
    Bound("C18", "price_usd_min", 5.0, 5.01, plan(reference="5.00"), plan(reference="4.99"), 0),
    Bound("C18b", "order_share_of_volume_max", 0.01, 0.00999, plan(100), plan(101), 100, {"volume": 10_000.0}),
    Bound(
        "C19",
        "stop_distance_fraction_min",
        0.003,
        0.0031,
        plan(10, entry="100.00", stop="99.70", target="101.00"),
        plan(10, entry="100.00", stop="99.71", target="101.00"),
        0,
    ),
    Bound(
        "C19",
        "stop_distance_fraction_max",
        0.05,
        0.0499,
        plan(10, entry="100.00", stop="95.00", target="120.00"),
        plan(10, entry="100.00", stop="94.99", target="120.00"),
        0,
    ),
    Bound("C19b", "reward_to_risk_min", 1.5, 1.51, plan(target="51.50"), plan(target="51.49"), 0),
    Bound("C20", "risk_per_trade_fraction_max", 0.001, 0.00099999, plan(100), plan(100, stop="48.99"), 99),
)
IDS = [f"{bound.control}-{bound.limit}" for bound in BOUNDS]


@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
def test_a_plan_exactly_at_the_bound_passes(bound: Bound) -> None:
    verdict = judge(bound.at, around(preferences=tight(**{bound.limit: bound.value}), **bound.surroundings))
    assert _told(verdict) == ("approve", bound.at.quantity, [])


@pytest.mark.parametrize("bound", [b for b in BOUNDS if b.control != "C8"], ids=[i for i in IDS if "C8" not in i])
def test_one_share_or_one_cent_beyond_the_bound_is_cut_or_refused(bound: Bound) -> None:
    verdict = judge(bound.beyond, around(preferences=tight(**{bound.limit: bound.value}), **bound.surroundings))
    ruling = "shrink" if bound.allowed_beyond else "veto"
    assert _told(verdict) == (ruling, bound.allowed_beyond, [bound.control])


@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
def test_the_bound_is_the_preferences_own_value(bound: Bound) -> None:
    """The same plan that passes under the limit is cut or refused when the file's limit is one step tighter."""
    verdict = judge(bound.at, around(preferences=tight(**{bound.limit: bound.tighter}), **bound.surroundings))
    assert verdict.quantity < bound.at.quantity
    assert [breach.control for breach in verdict.breaches] == [bound.control]


def test_every_field_of_the_preferences_has_a_control_that_a_test_trips() -> None:
    """A limit that nothing enforces is worse than none; those of the trading state are tripped in test_state."""
    assert {bound.limit for bound in BOUNDS} | STATE_FIELDS == set(Preferences.model_fields)


def test_every_control_that_has_a_limit_stands_in_the_bounds() -> None:
    without_a_field = {"C1", "C9b"}
    assert {bound.control for bound in BOUNDS} | without_a_field == {control.id for control in CONTROLS}


def test_the_ninth_position_is_refused_and_a_pending_one_counts() -> None:
    eight = portfolio(*NINE[:7], cash=99_993).with_pending(Pending("H8", Decimal(1)))
    assert _told(judge(plan(), around(eight, tight(positions_max=8)))) == ("veto", 0, ["C8"])


@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
def test_only_an_active_desk_enters(state: TradingState) -> None:
    assert _told(judge(plan(), around(state=state))) == ("veto", 0, ["C1"])


def test_free_cash_pays_to_the_last_cent() -> None:
    book = portfolio(holding("CCC", 95_000), cash=5_000)
    assert _told(judge(plan(100), around(book)))[0] == "approve"
    assert _told(judge(plan(101), around(book))) == ("shrink", 100, ["C9", "C9b"])


def test_cash_that_a_pending_entry_may_need_is_not_free() -> None:
    book = portfolio(holding("CCC", 90_000), cash=10_000).with_pending(Pending("CCC", Decimal("5000.01")))
    assert _told(judge(plan(100), around(book))) == ("shrink", 99, ["C9", "C9b"])


@pytest.mark.parametrize(
    ("limit", "control"), [({"position_fraction_max": 0.05}, "C7"), ({"sector_fraction_max": 0.05}, "C10")]
)
def test_what_is_held_and_what_is_pending_count_in_full(limit: dict[str, float], control: str) -> None:
    book = portfolio(holding("AAA", 1_000), cash=99_000).with_pending(Pending("AAA", Decimal(1_500)))
    assert _told(judge(plan(100), around(book, tight(**limit)))) == ("shrink", 50, [control])


def test_a_peer_whose_sector_is_unknown_is_a_sector_of_its_own() -> None:
    book = portfolio(holding("ZZZ", 90_000), cash=10_000)
    assert judge(plan(100), around(book, tight(sector_fraction_max=0.05))).ruling == "approve"


def test_a_symbol_without_a_sector_may_not_be_entered() -> None:
    assert _told(judge(plan(), around(sectors={}))) == ("veto", 0, ["C10"])


@pytest.mark.parametrize("volume", [None, 0.0, -5.0, float("nan"), float("inf")])
def test_an_average_volume_that_is_missing_or_absurd_allows_nothing(volume: float | None) -> None:
    assert _told(judge(plan(), around(volume=volume))) == ("veto", 0, ["C18b"])


@pytest.mark.parametrize(("average", "fraction", "shares"), [(2_500.0, 0.0012, 3), (12_500.0, 0.0012, 15)])
def test_the_share_of_volume_is_exact_where_floats_are_not(average: float, fraction: float, shares: int) -> None:
    """In floats the product falls just short of the whole share that the limit allows."""
    assert int(average * fraction) == shares - 1
    asked = plan(shares, entry="5.00", stop="4.90", target="5.20")
    limits = tight(order_share_of_volume_max=fraction)
    assert judge(asked, around(None, limits, volume=average)).quantity == shares


@pytest.mark.parametrize("cash", ["NaN", "Infinity", "-Infinity", "-1", "0"])
def test_a_book_whose_equity_is_absurd_allows_nothing(cash: str) -> None:
    verdict = judge(plan(), around(portfolio(cash=cash)))
    assert verdict.ruling == "veto"
    assert {"C7", "C9", "C9b", "C10", "C20"} <= {breach.control for breach in verdict.breaches}


@pytest.mark.parametrize("worth", ["NaN", "Infinity"])
def test_a_holding_whose_value_is_absurd_allows_nothing(worth: str) -> None:
    assert judge(plan(), around(portfolio(holding("BBB", worth)))).quantity == 0


@pytest.mark.parametrize("stop", ["50.00", "50.01", "60.00"])
def test_a_stop_at_or_above_the_entry_is_refused_by_distance_reward_and_risk(stop: str) -> None:
    assert _told(judge(plan(stop=stop), around())) == ("veto", 0, ["C19", "C19b", "C20"])


def test_a_refusal_lists_every_breach_with_value_and_bound() -> None:
    book = portfolio(*(replace(each, value=Decimal(2_000)) for each in NINE[:8]), cash=1_000)
    surroundings = around(book, LIMITS, state="REDUCING", volume=1_000.0, sectors={})
    verdict = judge(plan(600, entry="4.00", stop="3.00", target="4.10"), surroundings)
    controls = [breach.control for breach in verdict.breaches]
    assert controls == ["C1", "C3", "C7", "C8", "C9", "C9b", "C10", "C18", "C18b", "C19", "C19b", "C20"]
    assert "C3 quantity per order: 600 shares, bound 500 shares; allows 500 of 600 shares" in verdict.sentences
    assert "C18 minimum price: 4.00 USD, bound 5.00 USD; allows 0 of 600 shares" in verdict.sentences
    assert all(breach.value and breach.bound for breach in verdict.breaches)


def test_the_smallest_allowance_decides() -> None:
    limits = tight(order_quantity_max=90, order_notional_usd_max=4_000.0)
    verdict = judge(plan(100), around(preferences=limits))
    assert _told(verdict) == ("shrink", 80, ["C3", "C4"])


def test_a_verdict_is_about_exactly_one_plan() -> None:
    asked = plan()
    verdict = judge(asked, around())
    assert (verdict.plan_id, verdict.plan_digest, verdict.signer) == (asked.id, asked.digest, "risk_gate")


@pytest.mark.parametrize(("held", "told"), [(100, ("approve", 100, [])), (99, ("shrink", 99, ["X1"]))])
def test_an_exit_sells_at_most_what_is_held(held: int, told: tuple[str, int, list[str]]) -> None:
    book = portfolio(holding("AAA", quantity=held))
    assert _told(judge(plan(100, stop=None, target=None), around(book))) == told


def test_an_exit_of_nothing_held_is_refused() -> None:
    assert _told(judge(plan(100, stop=None, target=None), around())) == ("veto", 0, ["X1"])


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING", "HALTED"])
def test_an_exit_passes_in_every_state_and_against_every_limit(state: TradingState) -> None:
    broke = portfolio(holding("AAA", 1_000_000, quantity=10_000), cash=0)
    surroundings = around(broke, LIMITS, state=state, volume=None, sectors={})
    assert judge(plan(10_000, stop=None, target=None), surroundings).ruling == "approve"


def test_control_ids_are_unique() -> None:
    ids = [control.id for control in (*CONTROLS, *EXIT_CONTROLS)]
    assert len(set(ids)) == len(ids)


def test_verdicts_become_rows_of_their_table() -> None:
    judged = [(p, judge(p, around(sectors={"AAA": "Software"}))) for p in (plan(), plan(symbol="BBB"))]
    rows = VERDICTS.frame(verdict_rows(judged, SLOT)).sort("symbol").rows(named=True)
    assert [(r["symbol"], r["ruling"], r["quantity"], r["controls"]) for r in rows] == [
        ("AAA", "approve", 100, ""),
        ("BBB", "veto", 0, "C10,C18b"),
    ]


_CENTS = st.integers(1, 2_000_000).map(lambda cents: Decimal(cents) / 100)
_PRICE = st.one_of(_CENTS, st.integers(4_000, 6_000).map(lambda cents: Decimal(cents) / 100))
_VOLUME = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1e7))


@st.composite
def _plans(draw: st.DrawFn) -> TradePlan:
    entry = draw(_PRICE)
    stop = draw(st.one_of(_PRICE, st.floats(0.9, 0.999).map(lambda f: _cents(entry, f))))
    target = draw(st.one_of(_PRICE, st.floats(1.001, 1.2).map(lambda f: _cents(entry, f))))
    quantity = draw(st.one_of(st.integers(1, 1_000_000), st.integers(1, 300)))
    return plan(quantity, entry=str(entry), stop=str(stop), target=str(target), reference=str(draw(_PRICE)))


def _cents(price: Decimal, factor: float) -> Decimal:
    return max(Decimal("0.01"), (price * Decimal(str(factor))).quantize(Decimal("0.01")))


@st.composite
def _books(draw: st.DrawFn) -> Portfolio:
    symbols = draw(st.lists(st.sampled_from(["AAA", "BBB", "CCC", "H1", "ZZZ"]), unique=True))
    held: list[Holding] = [holding(symbol, str(draw(_CENTS)), quantity=draw(st.integers(1, 900))) for symbol in symbols]
    book = portfolio(*held, cash=str(draw(_CENTS) * draw(st.sampled_from([0, 1, 10]))))
    for symbol in draw(st.lists(st.sampled_from(["AAA", "BBB", "CCC"]), max_size=2)):
        book = book.with_pending(Pending(symbol, draw(_CENTS)))
    return book


@settings(deadline=None, max_examples=400)
@given(_plans(), _books(), _VOLUME, st.sampled_from([LIMITS, LOOSE]), st.sampled_from(["ACTIVE", "ACTIVE", "HALTED"]))
def test_whatever_the_plan_what_is_allowed_satisfies_every_limit(
    asked: TradePlan, book: Portfolio, volume: float | None, limits: Preferences, state: TradingState
) -> None:
    verdict = judge(asked, around(book, limits, state=state, volume=volume))
    assert 0 <= verdict.quantity <= asked.quantity
    assert (verdict.ruling == "approve") == (verdict.quantity == asked.quantity)
    assert (verdict.ruling == "veto") == (verdict.quantity == 0)
    assert bool(verdict.breaches) == (verdict.quantity < asked.quantity)
    if verdict.quantity:
        _within_every_limit(asked, verdict.quantity, book, volume, limits, state)


def _within_every_limit(
    asked: TradePlan, quantity: int, book: Portfolio, volume: float | None, limits: Preferences, state: TradingState
) -> None:
    """The limits once more, in the words of the preferences and not in those of the gate."""
    equity, cost = book.equity, asked.entry * quantity
    held = {symbol: each.value for symbol, each in book.holdings.items()}
    pending = sum((each.notional for each in book.pending), Decimal(0))
    own = held.get("AAA", Decimal(0)) + sum((p.notional for p in book.pending if p.symbol == "AAA"), Decimal(0))
    peer = held.get("BBB", Decimal(0)) + sum((p.notional for p in book.pending if p.symbol == "BBB"), Decimal(0))
    assert state == "ACTIVE"
    assert quantity <= limits.order_quantity_max
    assert cost <= limits.order_notional_usd
    assert own + cost <= equity * _exact(limits.position_fraction_max)
    assert own + peer + cost <= equity * _exact(limits.sector_fraction_max)
    assert sum(held.values()) + pending + cost <= equity * _exact(limits.gross_exposure_fraction_max)
    assert pending + cost <= book.cash
    assert len({*held, *(p.symbol for p in book.pending), "AAA"}) <= limits.positions_max
    assert asked.reference >= _exact(limits.price_usd_min)
    assert volume is not None
    assert quantity <= _exact(volume) * _exact(limits.order_share_of_volume_max)
    assert asked.stop is not None
    assert asked.target is not None
    risk = asked.entry - asked.stop
    assert _exact(limits.stop_distance_fraction_min) <= risk / asked.entry <= _exact(limits.stop_distance_fraction_max)
    assert (asked.target - asked.entry) / risk >= _exact(limits.reward_to_risk_min)
    assert risk * quantity <= equity * _exact(limits.risk_per_trade_fraction_max)


def _exact(value: float) -> Decimal:
    return Decimal(str(value))


@settings(deadline=None)
@given(_books(), st.integers(1, 1_000), st.sampled_from(["ACTIVE", "REDUCING", "HALTED"]))
def test_an_exit_never_sells_more_than_is_held(book: Portfolio, quantity: int, state: TradingState) -> None:
    verdict = judge(plan(quantity, stop=None, target=None), around(book, LIMITS, state=state))
    held = book.holdings["AAA"].quantity if "AAA" in book.holdings else 0
    assert verdict.quantity == min(quantity, held)
