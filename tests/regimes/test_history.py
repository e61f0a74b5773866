"""Transitions and persistence of labels."""

from collections.abc import Sequence

import polars as pl
import pytest

from tests.features.frames import days_from, embedded, span_of
from trading_assets.regimes.history import persistence, transitions
from trading_assets.regimes.rules import regime_labels


def labelled(symbol: str, regimes: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": [symbol] * len(regimes), "session": days_from(len(regimes)), "regime": regimes})


def test_transitions_count_each_step_of_each_symbol() -> None:
    labels = pl.concat(
        [labelled("AAA", ["ranging", "ranging", "trending_up"]), labelled("BBB", ["trending_up", "ranging"])]
    )
    assert transitions(labels).rows() == [
        ("ranging", "ranging", 1, 0.5),
        ("ranging", "trending_up", 1, 0.5),
        ("trending_up", "ranging", 1, 1.0),
    ]


def test_persistence_counts_spells_and_does_not_join_symbols() -> None:
    labels = pl.concat([labelled("AAA", ["ranging", "trending_up", "ranging"]), labelled("BBB", ["ranging"] * 4)])
    assert persistence(labels.sample(fraction=1.0, shuffle=True, seed=3)).rows() == [
        ("ranging", 3, 6, 2.0),
        ("trending_up", 1, 1, 1.0),
    ]


def test_history_adds_up_on_real_bars() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=span_of(bars))
    steps, spells = transitions(labels), persistence(labels)
    assert steps["count"].sum() == labels.height - labels["symbol"].n_unique()
    assert steps.group_by("from").agg(pl.col("probability").sum())["probability"].to_list() == pytest.approx([1.0] * 5)
    assert spells["sessions"].sum() == labels.height
    switched = steps.filter(pl.col("from") != pl.col("to"))["count"].sum()
    assert spells["spells"].sum() == switched + labels["symbol"].n_unique()


def test_history_of_nothing_is_empty() -> None:
    nothing = labelled("AAA", ["ranging"]).clear()
    assert transitions(nothing).is_empty()
    assert persistence(nothing).is_empty()
