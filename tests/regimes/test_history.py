"""Transitions and persistence of labels."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from tests.features.frames import days_from, embedded, span_of
from trading_assets.regimes.history import persistence, transitions
from trading_assets.regimes.rules import REGIMES, regime_labels

lines = st.lists(st.sampled_from(REGIMES), min_size=1, max_size=60)


def labelled(symbol: str, regimes: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": [symbol] * len(regimes), "session": days_from(len(regimes)), "regime": regimes})


def test_transitions_count_each_step_of_each_symbol() -> None:
    labels = pl.concat(
        [labelled("AAA", ["ranging", "ranging", "trending_up"]), labelled("BBB", ["trending_up", "ranging"])]
    )
    assert transitions(labels).select("from", "to", "count", "probability").rows() == [
        ("ranging", "ranging", 1, 0.5),
        ("ranging", "trending_up", 1, 0.5),
        ("trending_up", "ranging", 1, 1.0),
    ]


def test_persistence_counts_spells_and_does_not_join_symbols() -> None:
    labels = pl.concat([labelled("AAA", ["ranging", "trending_up", "ranging"]), labelled("BBB", ["ranging"] * 4)])
    told = persistence(labels.sample(fraction=1.0, shuffle=True, seed=3))
    assert told.select("regime", "spells", "sessions", "mean_sessions").rows() == [
        ("ranging", 3, 6, 2.0),
        ("trending_up", 1, 1, 1.0),
    ]


def test_the_expected_length_counts_endings_and_not_the_spell_that_still_runs() -> None:
    """Ten ranging sessions with one ending and one session at the end: 1 / (1 - 9 / 10)."""
    labels = labelled("AAA", ["ranging"] * 10 + ["trending_up"])
    told = {row["regime"]: row for row in persistence(labels).rows(named=True)}
    assert told["ranging"]["expected_sessions"] == pytest.approx(10)
    assert told["ranging"]["expected_low"] < 10 < told["ranging"]["expected_high"]
    assert told["trending_up"]["expected_sessions"] is None, "it has not been followed by anything yet"


def test_a_regime_that_never_ended_has_no_expected_length_but_a_least_one() -> None:
    row = persistence(labelled("AAA", ["ranging"] * 50)).row(0, named=True)
    assert row["expected_sessions"] is None
    assert row["expected_high"] is None
    assert row["expected_low"] > 10


@given(lines)
@settings(deadline=None, max_examples=20)
def test_intervals_are_those_of_statsmodels(regimes: list[str]) -> None:
    for row in transitions(labelled("AAA", regimes)).rows(named=True):
        trials = sum(before == row["from"] for before in regimes[:-1])
        low, high = proportion_confint(row["count"], trials, method="wilson")
        assert row["probability"] == pytest.approx(row["count"] / trials)
        assert (row["probability_low"], row["probability_high"]) == pytest.approx((low, high), abs=1e-6)
        assert row["probability_low"] <= row["probability"] + 1e-12
        assert row["probability"] <= row["probability_high"] + 1e-12


@given(lines, lines)
@settings(deadline=None, max_examples=20)
def test_history_adds_up_for_any_labels(first: list[str], second: list[str]) -> None:
    labels = pl.concat([labelled("AAA", first), labelled("BBB", second)])
    steps, spells = transitions(labels), persistence(labels)
    assert steps["count"].sum() == labels.height - 2
    assert spells["sessions"].sum() == labels.height
    switched = steps.filter(pl.col("from") != pl.col("to"))["count"].sum()
    assert spells["spells"].sum() == switched + 2
    shares = steps.group_by("from").agg(pl.col("probability").sum())["probability"].to_list()
    assert shares == pytest.approx([1.0] * len(shares))


def test_the_interval_holds_the_true_length_of_a_made_chain_most_of_the_time() -> None:
    """Spells of 20 sessions on average, 200 chains: 95 % nominal, less 3 deviations of the count."""
    random, hits = np.random.default_rng(1), 0
    for _ in range(200):
        leaves = random.random(800) < 1 / 20
        regimes = np.where(np.cumsum(leaves) % 2 == 0, "ranging", "trending_up").tolist()
        row = persistence(labelled("AAA", regimes)).filter(pl.col("regime") == "ranging").row(0, named=True)
        hits += row["expected_low"] <= 20 <= (row["expected_high"] or math.inf)
    assert hits >= 200 * 0.95 - 3 * math.sqrt(200 * 0.95 * 0.05)


def test_history_adds_up_on_real_bars() -> None:
    bars, actions = embedded()
    labels = regime_labels(bars, actions, span=span_of(bars))
    steps, spells = transitions(labels), persistence(labels)
    assert steps["count"].sum() == labels.height - labels["symbol"].n_unique()
    assert steps.group_by("from").agg(pl.col("probability").sum())["probability"].to_list() == pytest.approx([1.0] * 5)
    assert spells["sessions"].sum() == labels.height
    switched = steps.filter(pl.col("from") != pl.col("to"))["count"].sum()
    assert spells["spells"].sum() == switched + labels["symbol"].n_unique()
    assert (spells["expected_low"] < spells["mean_sessions"]).all()
    assert (spells["mean_sessions"] < spells["expected_high"]).all()


def test_history_of_nothing_is_empty() -> None:
    nothing = labelled("AAA", ["ranging"]).clear()
    assert transitions(nothing).is_empty()
    assert persistence(nothing).is_empty()
