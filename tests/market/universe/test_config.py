from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.market.universe.worlds import written
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import PROJECT
from trading_assets.market.universe.config import Between, Compare, Extreme, InSet, Universes, load_universes


def loaded(tmp_path: Path, content: dict[str, Any]) -> Universes:
    (tmp_path / "universes.yaml").write_text(yaml.safe_dump(content))
    return load_universes(tmp_path)


def with_filter(**step: Any) -> dict[str, Any]:
    return {"universes": {"mine": {"base": "instruments", "rebalance": "daily", "filters": [step]}}}


def with_universe(**more: Any) -> dict[str, Any]:
    return {"universes": {"mine": {"base": "instruments", "rebalance": "daily"} | more}}


def refused(tmp_path: Path, content: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, content)
    assert "universes.yaml" in str(caught.value)
    return str(caught.value)


def test_the_committed_file_is_valid() -> None:
    config = load_universes(PROJECT / "config")
    assert "desk" in config.universes
    assert all(pairs.base in config.universes for pairs in config.pairs.values())


def test_every_operator_can_be_written_down(tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"field": "price", "operator": "greater_than", "value": 5},
        {"field": "pe", "operator": "less_than", "value": 30.5},
        {"field": "momentum_12_1", "operator": "top_n", "value": 10},
        {"field": "volatility_20", "operator": "bottom_n", "value": 5},
        {"field": "sector", "operator": "in_set", "value": ["Software", "Banks"]},
        {"field": "market_cap", "operator": "between", "value": [1e9, 1e12]},
    ]
    chain = loaded(tmp_path, with_universe(filters=steps)).universes["mine"].filters
    assert [type(step) for step in chain] == [Compare, Compare, Extreme, Extreme, InSet, Between]
    assert [step.operator for step in chain] == [step["operator"] for step in steps]


@pytest.mark.parametrize(
    ("step", "word"),
    [
        ({"field": "price", "operator": "above", "value": 1.0}, "above"),
        ({"field": "prise", "operator": "greater_than", "value": 1.0}, "prise"),
        ({"field": "price", "operator": "greater_than", "value": "1.0"}, "valid number"),
        ({"field": "price", "operator": "top_n", "value": 0}, "greater than or equal to 1"),
        ({"field": "price", "operator": "top_n", "value": 2.5}, "integer"),
        ({"field": "price", "operator": "between", "value": [3.0, 2.0]}, "lower end"),
        ({"field": "price", "operator": "between", "value": [3.0]}, "Field required"),
        ({"field": "sector", "operator": "greater_than", "value": 1.0}, "sector"),
        ({"field": "price", "operator": "in_set", "value": ["a"]}, "price"),
        ({"field": "sector", "operator": "in_set", "value": []}, "at least 1"),
        ({"field": "price", "operator": "greater_than"}, "Field required"),
        ({"field": "price", "operator": "greater_than", "value": 1.0, "unit": "USD"}, "unit"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_with_its_words(tmp_path: Path, step: dict[str, Any], word: str) -> None:
    assert word in refused(tmp_path, with_filter(**step))


@pytest.mark.parametrize(
    ("universe", "word"),
    [
        ({"base": "dow30"}, "unknown base dow30"),
        ({"min_securities": 0}, "greater than or equal to 1"),
        ({"min_securities": 5, "max_securities": 4, "rank_by": {"field": "price"}}, "below min_securities"),
        ({"max_securities": 4}, "needs rank_by"),
        ({"rank_by": {"field": "sector"}}, "sector"),
        ({"rebalance": "yearly"}, "yearly"),
        ({"weight": 1}, "weight"),
        ({"base_carried_sessions_max": 5}, "for static lists, not instruments"),
    ],
)
def test_a_universe_that_means_nothing_is_refused_with_its_words(
    tmp_path: Path, universe: dict[str, Any], word: str
) -> None:
    assert word in refused(tmp_path, with_universe(**universe))


def test_how_often_it_is_computed_must_be_said(tmp_path: Path) -> None:
    assert "rebalance" in refused(tmp_path, {"universes": {"mine": {"base": "instruments"}}})


@pytest.mark.parametrize("name", ["instruments", "sp500", "crypto_top20"])
def test_a_universe_may_not_take_the_name_of_a_base(tmp_path: Path, name: str) -> None:
    assert f"{name} is a base" in refused(
        tmp_path, {"universes": {name: {"base": "instruments", "rebalance": "daily"}}}
    )


@pytest.mark.parametrize("name", ["Mine", "1st", "my-universe", ""])
def test_names_are_plain_words(tmp_path: Path, name: str) -> None:
    refused(tmp_path, {"universes": {name: {"base": "instruments", "rebalance": "daily"}}})


def test_a_circle_of_universes_is_refused_with_its_path(tmp_path: Path) -> None:
    ring = {name: {"base": base, "rebalance": "daily"} for name, base in (("a", "b"), ("b", "c"), ("c", "a"))}
    assert "a -> b -> c -> a" in refused(tmp_path, {"universes": ring})


def test_a_universe_may_rest_on_another(tmp_path: Path) -> None:
    chain = {
        "top": {"base": "middle", "rebalance": "monthly"},
        "middle": {"base": "sp500", "rebalance": "weekly", "base_carried_sessions_max": 400},
    }
    assert loaded(tmp_path, {"universes": chain}).universes["top"].base == "middle"


def test_pairs_need_a_universe_of_the_file(tmp_path: Path) -> None:
    content = with_universe() | {"pairs": {"two": {"base": "sp500", "rebalance": "monthly"}}}
    assert "sp500 is not one of the universes mine" in refused(tmp_path, content)


@pytest.mark.parametrize(
    "pairs",
    [
        {"p_value_max": 0.0},
        {"p_value_max": 1.0},
        {"correction": "bonferroni"},
        {"look_back_sessions": 20},
        {"correlation_min": 1.5},
        {"tests_max": 0},
        {"half_life_sessions_max": 0.0},
    ],
)
def test_pairs_out_of_range_are_refused(tmp_path: Path, pairs: dict[str, Any]) -> None:
    refused(tmp_path, with_universe() | {"pairs": {"two": {"base": "mine", "rebalance": "monthly"} | pairs}})


def test_universe_and_pairs_may_not_share_a_name(tmp_path: Path) -> None:
    content = with_universe() | {"pairs": {"mine": {"base": "mine", "rebalance": "monthly"}}}
    assert "names both" in refused(tmp_path, content)


def test_a_missing_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing"):
        load_universes(tmp_path)
    assert "at least 1" in refused(tmp_path, {"universes": {}})


def test_a_universe_knows_the_fields_that_it_looks_at() -> None:
    config = written(
        {
            "mine": {
                "base": "instruments",
                "filters": [{"field": "pe", "operator": "less_than", "value": 20}],
                "rank_by": {"field": "price"},
            }
        }
    )
    assert config.universes["mine"].fields == {"pe", "price"}
