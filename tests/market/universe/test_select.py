from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.universe.worlds import written
from trading_assets.market.universe.config import Universe
from trading_assets.market.universe.select import Selected, Stopped, Value, labelled, select

PRICES: Mapping[str, Value] = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0, "E": 5.0}
ALL = tuple(PRICES)


def universe(*filters: Mapping[str, Any], **more: Any) -> Universe:
    return written({"mine": {"base": "instruments", "filters": list(filters), **more}}).universes["mine"]


def step(operator: str, value: Any, field: str = "price") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def chosen(answer: Selected | Stopped) -> list[str]:
    assert isinstance(answer, Selected), answer
    return [member.symbol for member in answer.members]


def stopped(answer: Selected | Stopped) -> Stopped:
    assert isinstance(answer, Stopped), answer
    return answer


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (step("greater_than", 3.0), ["D", "E"]),
        (step("less_than", 3.0), ["A", "B"]),
        (step("between", [2.0, 4.0]), ["B", "C", "D"]),
        (step("top_n", 2), ["D", "E"]),
        (step("bottom_n", 2), ["A", "B"]),
        (step("top_n", 99), ["A", "B", "C", "D", "E"]),
    ],
)
def test_each_operator_keeps_what_it_says(filter_: Mapping[str, Any], expected: list[str]) -> None:
    assert chosen(select(universe(filter_), ALL, lambda _: PRICES)) == expected


def test_in_set_keeps_the_words_named() -> None:
    sectors = {"A": "Banks", "B": "Software", "C": "Oil"}
    only = universe(step("in_set", ["Software", "Oil"], "sector"))
    assert chosen(select(only, ("A", "B", "C"), lambda _: sectors)) == ["B", "C"]


def test_filters_apply_in_their_order() -> None:
    """The two cheapest of those above 2 are not those above 2 of the two cheapest."""
    first = universe(step("greater_than", 2.0), step("bottom_n", 2))
    second = universe(step("bottom_n", 2), step("greater_than", 2.0))
    assert chosen(select(first, ALL, lambda _: PRICES)) == ["C", "D"]
    assert stopped(select(second, ALL, lambda _: PRICES)).what == "filter price greater_than 2.0 left nothing"


def test_equal_values_are_taken_in_the_order_of_their_symbols() -> None:
    same = dict.fromkeys(ALL, 7.0)
    assert chosen(select(universe(step("top_n", 2)), reversed_(ALL), lambda _: same)) == ["A", "B"]
    assert chosen(select(universe(step("bottom_n", 2)), reversed_(ALL), lambda _: same)) == ["A", "B"]


def test_a_security_without_the_value_does_not_pass() -> None:
    answer = select(universe(step("less_than", 9.0)), (*ALL, "X"), lambda _: PRICES)
    assert "X" not in chosen(answer)
    assert str(answer.steps[-1]) == "price less_than 9.0: 5 of 6 (1 without a value)"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_no_value(bad: float) -> None:
    values = {**PRICES, "X": bad}
    for filter_ in (step("greater_than", 0.0), step("top_n", 99), step("bottom_n", 99)):
        assert "X" not in chosen(select(universe(filter_), (*ALL, "X"), lambda _: values))


def test_a_field_without_any_value_stops_the_chain_and_is_named() -> None:
    answer = stopped(select(universe(step("greater_than", 1e9, "market_cap")), ALL, lambda _: {}))
    assert "market_cap has no value for any of 5 securities" in answer.what
    assert "filter market_cap greater_than" in answer.what


def test_a_filter_that_leaves_nothing_is_named_with_the_counts_before_it() -> None:
    chain = universe(step("greater_than", 2.0), step("between", [10.0, 11.0]), step("top_n", 1))
    answer = stopped(select(chain, ALL, lambda _: PRICES))
    assert answer.what == "filter price between [10.0, 11.0] left nothing"
    assert [(each.before, each.after) for each in answer.steps] == [(5, 5), (5, 3), (3, 0)]


def test_a_base_without_a_security_stops_the_chain() -> None:
    assert "base instruments has no security" in stopped(select(universe(), (), lambda _: PRICES)).what


def test_fewer_than_the_minimum_is_refused_with_both_numbers() -> None:
    answer = stopped(select(universe(step("top_n", 2), min_securities=3), ALL, lambda _: PRICES))
    assert answer.what == "2 left, min_securities is 3"


def test_exactly_the_minimum_is_enough() -> None:
    assert len(chosen(select(universe(step("top_n", 3), min_securities=3), ALL, lambda _: PRICES))) == 3


@pytest.mark.parametrize(("order", "expected"), [("descending", ["E", "D"]), ("ascending", ["A", "B"])])
def test_more_than_the_maximum_is_cut_by_rank(order: str, expected: list[str]) -> None:
    capped = universe(max_securities=2, rank_by={"field": "price", "order": order})
    answer = select(capped, ALL, lambda _: PRICES)
    assert chosen(answer) == expected
    assert str(answer.steps[-1]) == "max_securities 2: 2 of 5"


def test_rank_and_score_are_those_of_the_field() -> None:
    answer = select(universe(rank_by={"field": "price"}), ALL, lambda _: PRICES)
    assert isinstance(answer, Selected)
    assert [(m.symbol, m.rank, m.score) for m in answer.members][:2] == [("E", 1, 5.0), ("D", 2, 4.0)]


def test_without_a_rank_members_stand_by_symbol_and_have_no_score() -> None:
    answer = select(universe(), reversed_(ALL), lambda _: PRICES)
    assert isinstance(answer, Selected)
    assert [(m.symbol, m.rank, m.score) for m in answer.members] == [(s, n, None) for n, s in enumerate(ALL, 1)]


def test_what_cannot_be_ranked_is_left_out_and_counted() -> None:
    answer = select(universe(rank_by={"field": "price"}), (*ALL, "X"), lambda _: PRICES)
    assert "X" not in chosen(answer)
    assert str(answer.steps[-1]) == "rank_by price: 5 of 6 (1 without a value)"


def test_a_rank_that_nobody_has_stops_the_chain() -> None:
    assert "rank_by needs it" in stopped(select(universe(rank_by={"field": "pe"}), ALL, lambda _: {})).what


def test_a_filter_says_itself_in_words() -> None:
    named = universe(step("in_set", ["Oil", "Gas"], "sector"), step("top_n", 3)).filters
    assert [labelled(each) for each in named] == ["sector in_set ['Oil', 'Gas']", "price top_n 3"]


_VALUES = st.dictionaries(st.sampled_from("ABCDEFGHIJ"), st.floats(-100, 100), max_size=10)


@settings(max_examples=25, deadline=None)
@given(_VALUES, st.permutations("ABCDEFGHIJ"), st.integers(1, 6), st.floats(-50, 50))
def test_the_order_of_the_candidates_does_not_matter(
    values: dict[str, Value], candidates: list[str], count: int, least: float
) -> None:
    chain = universe(step("greater_than", least), step("top_n", count), rank_by={"field": "price"})
    assert select(chain, candidates, lambda _: values) == select(chain, "ABCDEFGHIJ", lambda _: values)


@settings(max_examples=25, deadline=None)
@given(_VALUES, st.integers(1, 6))
def test_no_security_left_out_is_better_than_one_kept(values: dict[str, Value], count: int) -> None:
    answer = select(universe(step("top_n", count)), "ABCDEFGHIJ", lambda _: values)
    if isinstance(answer, Stopped):
        assert not values
        return
    kept = {member.symbol for member in answer.members}
    assert len(kept) == min(count, len(values))
    worst = min(float(values[symbol]) for symbol in kept)
    assert all(float(value) <= worst for symbol, value in values.items() if symbol not in kept)


def reversed_(symbols: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reversed(symbols))
