"""The risk gate: every control trips at its bound, every field of the preferences is enforced, nothing is ever enlarged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from tests.signatures.gated import LIMITS, SLOT, around, holding, leaving, plan, portfolio, short, tight, told
from tests.signatures.test_controls_at_sending import SENDING_FIELDS
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import PlanAction, PlanSide, TradePlan
from trading_assets.plans.portfolio import Pending
from trading_assets.signatures.exposure import PendingEntry
from trading_assets.signatures.model import VERDICTS
from trading_assets.signatures.risk_gate import CONTROLS, judge, verdict_rows
from trading_assets.signatures.state import TradingState

STATE_FIELDS = frozenset(
    {
        "daily_loss_reduce_only_fraction",
        "daily_loss_halt_fraction",
        "drawdown_halt_fraction",
        "stop_outs_reduce_only",
    }
)


@dataclass(frozen=True)
class Bound:
    """A plan exactly at one control's bound, and how little more the control refuses.

    `tighter` is the field's value one step below `value`; both are written as the preferences file would have them. A switch has
    nothing beyond it.
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
        "C9c",
        "net_exposure_fraction_max",
        0.35,
        0.3499999,
        plan(100),
        plan(101),
        100,
        {"book": portfolio(holding("CCC", 50_000), holding("H1", -20_000, quantity=-100, stop="201.00"), cash=70_000)},
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
    Bound(
        "C20b",
        "related_risk_fraction_max",
        0.003,
        0.00299999,
        plan(100),
        plan(101),
        100,
        {"book": portfolio(holding("BBB", 5_000, stop="48.00"), cash=95_000), "related": {"AAA": {"BBB"}}},
    ),
    Bound("C28", "short_selling", True, False, short(100), short(100), 100),
    Bound("C28b", "short_exposure_fraction_max", 0.05, 0.0499999, short(100), short(101), 100),
    Bound(
        "A3",
        "add_to_losers",
        True,
        False,
        plan(10, action="add", reference="49.99"),
        plan(10, action="add", reference="49.99"),
        10,
        {"book": portfolio(holding("AAA", entry="50.00", stop="49.00"), cash=95_000)},
    ),
)
IDS = [f"{bound.control}-{bound.limit}" for bound in BOUNDS]


@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
def test_a_plan_exactly_at_the_bound_passes(bound: Bound) -> None:
    verdict = judge(bound.at, around(preferences=tight(**{bound.limit: bound.value}), **bound.surroundings))
    assert told(verdict) == ("approve", bound.at.quantity, [])


@pytest.mark.control("C1")
@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
def test_only_an_active_desk_enters(state: TradingState) -> None:
    assert told(judge(plan(), around(state=state))) == ("veto", 0, ["C1"])


STEPPED = [bound for bound in BOUNDS if bound.control not in {"C8", "C28", "A3"}]


@pytest.mark.parametrize("bound", STEPPED, ids=[f"{bound.control}-{bound.limit}" for bound in STEPPED])
def test_one_share_or_one_cent_beyond_the_bound_is_cut_or_refused(bound: Bound) -> None:
    verdict = judge(bound.beyond, around(preferences=tight(**{bound.limit: bound.value}), **bound.surroundings))
    ruling = "shrink" if bound.allowed_beyond else "veto"
    assert told(verdict) == (ruling, bound.allowed_beyond, [bound.control])


@pytest.mark.control(
    "C3", "C4", "C7", "C8", "C9", "C9c", "C10", "C18", "C18b", "C19", "C19b", "C20", "C20b", "C28", "C28b", "A3"
)
@pytest.mark.parametrize("bound", BOUNDS, ids=IDS)
def test_the_bound_is_the_preferences_own_value(bound: Bound) -> None:
    """The same plan that passes under the limit is cut or refused when the file's limit is one step tighter."""
    verdict = judge(bound.at, around(preferences=tight(**{bound.limit: bound.tighter}), **bound.surroundings))
    assert verdict.quantity < bound.at.quantity
    assert [breach.control for breach in verdict.breaches] == [bound.control]


def test_every_field_of_the_preferences_has_a_control_that_a_test_trips() -> None:
    """A limit that nothing enforces is worse than none; those of state and sending are tripped in their own files."""
    assert {bound.limit for bound in BOUNDS} | STATE_FIELDS | SENDING_FIELDS == set(Preferences.model_fields)


def test_every_control_that_has_a_limit_stands_in_the_bounds() -> None:
    without_a_field = {"C1", "C6", "C9b", "C27", "A1", "A2"}
    asked = {control.id for control in CONTROLS if control.plan_rule}
    assert {bound.control for bound in BOUNDS} | without_a_field == asked


@pytest.mark.control("C8")
def test_the_ninth_position_is_refused_and_a_pending_one_counts() -> None:
    eight = portfolio(*NINE[:7], cash=99_993).with_pending(Pending("H8", Decimal(1)))
    assert told(judge(plan(), around(eight, tight(positions_max=8)))) == ("veto", 0, ["C8"])


@pytest.mark.control("C9", "C9b", "C9c")
def test_free_cash_pays_to_the_last_cent() -> None:
    book = portfolio(holding("CCC", 95_000), cash=5_000)
    assert told(judge(plan(100), around(book)))[0] == "approve"
    assert told(judge(plan(101), around(book))) == ("shrink", 100, ["C9", "C9b", "C9c"])


def test_cash_that_a_pending_entry_may_need_is_not_free() -> None:
    book = portfolio(holding("CCC", 90_000), cash=10_000).with_pending(Pending("CCC", Decimal("5000.01")))
    assert told(judge(plan(100), around(book))) == ("shrink", 99, ["C9", "C9b", "C9c"])


@pytest.mark.parametrize(
    ("limit", "control"), [({"position_fraction_max": 0.05}, "C7"), ({"sector_fraction_max": 0.05}, "C10")]
)
def test_what_is_held_and_what_is_pending_count_in_full(limit: dict[str, float], control: str) -> None:
    coming = PendingEntry("AAA", Decimal(1_500), "long", 30, Decimal(30))
    book = portfolio(holding("AAA", 1_000, stop="0.01"), cash=99_000).with_pending(coming)
    assert told(judge(plan(100), around(book, tight(**limit)))) == ("shrink", 50, [control])


def test_a_peer_whose_sector_is_unknown_is_a_sector_of_its_own() -> None:
    book = portfolio(holding("ZZZ", 90_000), cash=10_000)
    assert judge(plan(100), around(book, tight(sector_fraction_max=0.05))).ruling == "approve"


@pytest.mark.control("C10")
def test_a_symbol_without_a_sector_may_not_be_entered() -> None:
    assert told(judge(plan(), around(sectors={}))) == ("veto", 0, ["C10"])


@pytest.mark.parametrize("volume", [None, 0.0, -5.0, float("nan"), float("inf")])
def test_an_average_volume_that_is_missing_or_absurd_allows_nothing(volume: float | None) -> None:
    assert told(judge(plan(), around(volume=volume))) == ("veto", 0, ["C18b"])


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
    assert {"C7", "C9", "C9b", "C9c", "C10", "C20"} <= {breach.control for breach in verdict.breaches}


@pytest.mark.parametrize("worth", ["NaN", "Infinity"])
def test_a_holding_whose_value_is_absurd_allows_nothing(worth: str) -> None:
    assert judge(plan(), around(portfolio(holding("BBB", worth)))).quantity == 0


@pytest.mark.control("C19", "C19b", "C20", "C20b")
@pytest.mark.parametrize("stop", ["50.00", "50.01", "60.00"])
def test_a_stop_at_or_above_the_entry_is_refused_by_distance_reward_and_risk(stop: str) -> None:
    assert told(judge(plan(stop=stop), around())) == ("veto", 0, ["C19", "C19b", "C20", "C20b"])


@pytest.mark.parametrize("stop", ["50.00", "49.99", "40.00"])
def test_a_shorts_stop_at_or_below_the_entry_is_refused_likewise(stop: str) -> None:
    verdict = judge(short(stop=stop), around())
    assert told(verdict) == ("veto", 0, ["C19", "C19b", "C20", "C20b"])
    assert f"C19 stop distance: stop {stop} against entry 50.00, bound a stop above the entry" in verdict.sentences[0]


@pytest.mark.parametrize("action", ["enter", "add"])
def test_nothing_is_opened_without_a_stop(action: PlanAction) -> None:
    """Plans cannot be made like this; whoever makes one past the model is refused here."""
    bare = plan(10, action=action).model_copy(update={"stop": None})
    verdict = judge(bare, around(portfolio(holding("AAA", stop="49.00"), cash=95_000)))
    assert told(verdict) == ("veto", 0, ["C19", "C19b", "C20", "C20b"])


def test_a_refusal_lists_every_breach_with_value_and_bound() -> None:
    book = portfolio(*(replace(each, value=Decimal(2_000)) for each in NINE[:8]), cash=1_000)
    surroundings = around(book, LIMITS, state="REDUCING", volume=1_000.0, sectors={})
    verdict = judge(plan(600, entry="4.00", stop="3.00", target="4.10"), surroundings)
    controls = [breach.control for breach in verdict.breaches]
    assert controls == ["C1", "C3", "C7", "C8", "C9", "C9b", "C9c", "C10", "C18", "C18b", "C19", "C19b", "C20", "C20b"]
    assert "C3 quantity per order: 600 shares, bound 500 shares; allows 500 of 600 shares" in verdict.sentences
    assert "C18 minimum price: 4.00 USD, bound 5.00 USD; allows 0 of 600 shares" in verdict.sentences
    assert all(breach.value and breach.bound for breach in verdict.breaches)


def test_the_smallest_allowance_decides() -> None:
    limits = tight(order_quantity_max=90, order_notional_usd_max=4_000.0)
    verdict = judge(plan(100), around(preferences=limits))
    assert told(verdict) == ("shrink", 80, ["C3", "C4"])


def test_a_verdict_is_about_exactly_one_plan() -> None:
    asked = plan()
    verdict = judge(asked, around())
    assert (verdict.plan_id, verdict.plan_digest, verdict.signer) == (asked.id, asked.digest, "risk_gate")


@pytest.mark.control("X1")
@pytest.mark.parametrize(("held", "expected"), [(100, ("approve", 100, [])), (99, ("shrink", 99, ["X1"]))])
def test_an_exit_sells_at_most_what_is_held(held: int, expected: tuple[str, int, list[str]]) -> None:
    book = portfolio(holding("AAA", quantity=held))
    assert told(judge(plan(100, stop=None, target=None), around(book))) == expected


@pytest.mark.parametrize("action", ["exit", "trim"])
@pytest.mark.parametrize(
    ("side", "held", "allowed"), [("short", -60, 60), ("short", 60, 0), ("long", -60, 0), ("long", 60, 60)]
)
def test_a_reduction_closes_at_most_what_its_side_holds(
    action: PlanAction, side: PlanSide, held: int, allowed: int
) -> None:
    book = portfolio(holding("AAA", held * 50, quantity=held))
    verdict = judge(leaving(100, side=side, action=action), around(book, LIMITS, state="HALTED"))
    assert (verdict.quantity, [breach.control for breach in verdict.breaches]) == (allowed, ["X1"])


def test_an_exit_of_nothing_held_is_refused() -> None:
    assert told(judge(plan(100, stop=None, target=None), around())) == ("veto", 0, ["X1"])


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING", "HALTED"])
def test_an_exit_passes_in_every_state_and_against_every_limit(state: TradingState) -> None:
    broke = portfolio(holding("AAA", 1_000_000, quantity=10_000), cash=0)
    surroundings = around(broke, LIMITS, state=state, volume=None, sectors={})
    assert judge(plan(10_000, stop=None, target=None), surroundings).ruling == "approve"


def test_control_ids_are_unique() -> None:
    ids = [control.id for control in CONTROLS]
    assert len(set(ids)) == len(ids)


def test_verdicts_become_rows_of_their_table() -> None:
    judged = [(p, judge(p, around(sectors={"AAA": "Software"}))) for p in (plan(), plan(symbol="BBB"))]
    rows = VERDICTS.frame(verdict_rows(judged, SLOT)).sort("symbol").rows(named=True)
    assert [(r["symbol"], r["ruling"], r["quantity"], r["controls"]) for r in rows] == [
        ("AAA", "approve", 100, ""),
        ("BBB", "veto", 0, "C10,C18b"),
    ]
