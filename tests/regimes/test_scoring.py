"""Scores: against scikit-learn, against examples by hand, and contenders that know no more than they say."""

import math
from collections.abc import Sequence
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from tests.features.frames import days_from, scrambled_after, splits_of
from tests.regimes.five_states import NAMES, five_states
from trading_assets.features.windows import Floats
from trading_assets.regimes.contenders import CONTENDERS, Contender, World, filtered, majority, rules, world_of
from trading_assets.regimes.model import MARKET
from trading_assets.regimes.moves import daily_moves
from trading_assets.regimes.rules import REGIMES
from trading_assets.regimes.scoring import AHEAD_SESSIONS, forecast_gain, score, usefulness
from trading_assets.regimes.standings import standings

words = st.sampled_from(REGIMES)
pairs = st.lists(st.tuples(words, words), min_size=2, max_size=80)


def labelled(regimes: Sequence[str], symbol: str = "AAA") -> pl.DataFrame:
    days = days_from(len(regimes))
    return pl.DataFrame({"symbol": [symbol] * len(regimes), "session": days, "regime": list(regimes)})


def moved(moves: Floats, symbol: str = "AAA") -> pl.DataFrame:
    return pl.DataFrame({"symbol": [symbol] * moves.size, "session": days_from(moves.size), "move": moves})


@cache
def world() -> World:
    bars, truth = five_states(31, segments=36)
    return world_of(bars, splits_of(), truth)


def with_market(seed: int) -> World:
    """A world whose market is its one symbol."""
    bars, truth = five_states(seed, segments=24)
    market = truth.with_columns(symbol=pl.lit(MARKET)).slice(1)
    return world_of(bars, splits_of(), pl.concat([truth, market]))


# Scores


@given(pairs)
@settings(deadline=None, max_examples=30)
def test_f1_and_accuracy_are_those_of_scikit_learn(rows: list[tuple[str, str]]) -> None:
    true, said = (list(column) for column in zip(*rows, strict=True))
    told = score(labelled(said), labelled(true))
    present = sorted(set(true))
    assert told.macro_f1 == pytest.approx(f1_score(true, said, labels=present, average="macro", zero_division=0))
    recalls = [sum(s == t == r for t, s in rows) / true.count(r) for r in present]
    assert told.balanced_accuracy == pytest.approx(sum(recalls) / len(recalls))
    if set(said) <= set(true):
        assert told.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, said))
    assert told.sessions == len(rows)


def test_the_truth_itself_has_the_highest_score_and_no_delay() -> None:
    truth = world().judged
    told = score(truth, truth)
    assert (told.macro_f1, told.balanced_accuracy, told.delay_sessions) == (1.0, 1.0, 0.0)
    assert told.switches == told.true_switches > 5
    assert set(told.f1) == set(REGIMES)


def test_delay_counts_sessions_to_the_first_right_label_or_the_whole_spell() -> None:
    up, down, flat = "trending_up", "trending_down", "ranging"
    true = [up] * 3 + [down] * 4 + [flat] * 5
    assert score(labelled([up] * 5 + [down] * 7), labelled(true)).delay_sessions == (2 + 5) / 2
    assert score(labelled([up] * 4 + [down, up, down] + [flat] * 5), labelled(true)).delay_sessions == (1 + 0) / 2


def test_a_right_label_after_the_spell_comes_too_late() -> None:
    true = ["ranging"] * 2 + ["trending_up"] * 2 + ["ranging"] * 2
    said = ["ranging"] * 4 + ["trending_up"] * 2
    assert score(labelled(said), labelled(true)).delay_sessions == (2 + 2) / 2


def test_without_a_change_there_is_no_delay() -> None:
    assert score(labelled(["ranging"] * 3), labelled(["ranging"] * 3)).delay_sessions is None


def test_switches_are_counted_within_each_symbol() -> None:
    true = pl.concat([labelled(["ranging"] * 4), labelled(["trending_up"] * 4, "BBB")])
    said = pl.concat([labelled(["ranging", "trending_up"] * 2), labelled(["trending_up"] * 4, "BBB")])
    told = score(said, true)
    assert (told.switches, told.true_switches, told.delay_sessions) == (1.5, 0.0, None)


def test_a_session_without_a_prediction_counts_as_wrong() -> None:
    true = labelled(["ranging"] * 4)
    half = score(true.head(2), true)
    assert half.balanced_accuracy == 0.5
    assert half.f1["ranging"] == pytest.approx(2 * 2 / (4 + 2))
    assert half.sessions == 4


def test_predictions_outside_the_truth_do_not_count() -> None:
    true = labelled(["ranging"] * 4 + ["trending_up"] * 4)
    assert score(true, true.head(4)) == score(true.head(4), true.head(4))


def test_the_order_of_rows_does_not_matter() -> None:
    truth, said = world().judged, rules(world())
    assert score(said.sample(fraction=1.0, shuffle=True, seed=1), truth.reverse()) == score(said, truth)


# What labels are good for


def test_outcomes_are_those_of_the_twenty_sessions_after_a_label() -> None:
    random = np.random.default_rng(3)
    moves = random.normal(0, 0.01, 60)
    row = usefulness(labelled(["ranging"] * 60).head(1), moved(moves)).row(0, named=True)
    after = moves[1:21]
    assert row["regime"] == "ranging"
    assert row["volatility_next_20"] == pytest.approx(after.std(ddof=1) * math.sqrt(252))
    assert row["return_next_20"] == pytest.approx(after.sum())
    assert (row["sessions"], row["windows"], row["volatility_to_all"]) == (1, 1 / AHEAD_SESSIONS, 1.0)


def test_the_last_twenty_sessions_have_no_outcome() -> None:
    told = usefulness(labelled(["ranging"] * 60), moved(np.linspace(0, 0.01, 60)))
    assert told["sessions"].to_list() == [40, 40]


def test_a_label_that_says_volatility_shows_it_and_the_row_all_is_the_mean() -> None:
    random = np.random.default_rng(4)
    wild = np.repeat([True, False] * 5, 60)
    moves = random.normal(0, np.where(wild, 0.03, 0.005))
    told = usefulness(labelled(np.where(wild, "high_volatility", "low_volatility").tolist()), moved(moves))
    rows = {row["regime"]: row for row in told.rows(named=True)}
    assert list(rows) == ["high_volatility", "low_volatility", "all"]
    assert rows["high_volatility"]["volatility_to_all"] > 1.2
    assert rows["low_volatility"]["volatility_to_all"] < 0.8
    mixed = sum(rows[r]["volatility_next_20"] * rows[r]["sessions"] for r in ("high_volatility", "low_volatility"))
    assert rows["all"]["volatility_next_20"] == pytest.approx(mixed / rows["all"]["sessions"])
    for row in rows.values():
        assert row["return_low"] <= row["return_next_20"] <= row["return_high"]


def gains(labels: list[str], moves: Floats) -> dict[str, float | None]:
    return forecast_gain(labelled(labels), moved(moves))


def test_a_regime_that_says_volatility_takes_error_off_its_forecast_and_one_that_says_nothing_does_not() -> None:
    random = np.random.default_rng(5)
    wild = np.repeat(random.random(60) < 0.5, 50)
    moves = random.normal(0, np.where(wild, 0.03, 0.005))
    told = gains(np.where(wild, "high_volatility", "low_volatility").tolist(), moves)
    assert told["log_volatility"] is not None
    assert told["log_volatility"] > 0.3
    idle = gains(random.choice(REGIMES, moves.size).tolist(), moves)
    assert idle["log_volatility"] is not None
    assert idle["log_volatility"] < 0.02
    constant = gains(["ranging"] * moves.size, moves)
    assert constant == pytest.approx({"log_volatility": 0.0, "return": 0.0})


def test_a_forecast_knows_only_outcomes_that_have_ended() -> None:
    """The same gain by plain loops over sessions."""
    random = np.random.default_rng(6)
    labels = random.choice(["ranging", "trending_up"], 120).tolist()
    moves = random.normal(0, 0.01, 120)
    outcome = [moves[at + 1 : at + 21].sum() for at in range(100)]
    knowing = ignoring = 0.0
    for at in range(100):
        ended = range(at - AHEAD_SESSIONS + 1)
        same = [outcome[past] for past in ended if labels[past] == labels[at]]
        if len(same) >= AHEAD_SESSIONS:
            knowing += (outcome[at] - np.mean(same)) ** 2
            ignoring += (outcome[at] - np.mean([outcome[past] for past in ended])) ** 2
    assert gains(labels, moves)["return"] == pytest.approx(1 - knowing / ignoring)


def test_too_few_sessions_gain_nothing() -> None:
    assert gains(["ranging"] * 30, np.full(30, 0.01)) == {"log_volatility": None, "return": None}


# The contenders


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_a_contender_knows_no_bar_after_its_session(contender: Contender) -> None:
    """Bars after a session in the scored half are altered; labels before it stay."""
    day = world().judged["session"][400]
    altered = World(scrambled_after(world().bars, day, seed=4), world().actions, world().truth, world().cut)
    past = pl.col("session") <= day
    original = contender.label(world()).filter(past).sort("session")
    assert contender.label(altered).filter(past).sort("session").equals(original)
    assert original.height == 401


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_a_contender_knows_no_truth_of_the_scored_half(contender: Contender) -> None:
    other = pl.when(pl.col("session") >= world().cut).then(pl.lit("ranging")).otherwise(pl.col("regime"))
    hidden = World(world().bars, world().actions, world().truth.with_columns(other.alias("regime")), world().cut)
    assert contender.label(hidden).equals(contender.label(world()))


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda one: one.name)
def test_only_those_that_say_so_know_the_truth_of_the_first_half(contender: Contender) -> None:
    turned = {name: NAMES[(place + 1) % 5] for place, name in enumerate(NAMES)}
    told = world().truth.with_columns(pl.col("regime").replace(turned))
    same = contender.label(World(world().bars, world().actions, told, world().cut)).equals(contender.label(world()))
    assert same is ("truth" not in contender.knows)


def test_the_forward_filter_is_hmmlearns_answer_at_the_last_session() -> None:
    """At the last session there is no later one, so that smoothing and filtering agree."""
    random = np.random.default_rng(8)
    points = np.concatenate([random.normal(size=(150, 2)), random.normal(3, 2, size=(150, 2))])
    model = GaussianHMM(2, covariance_type="full", n_iter=20, random_state=0).fit(points)
    for end in (20, 150, 300):
        np.testing.assert_allclose(filtered(model, points)[end - 1], model.predict_proba(points[:end])[-1], atol=1e-9)


def test_majority_says_the_most_frequent_regime_of_the_first_half() -> None:
    counted = world().learned["regime"].value_counts().sort("count")
    assert majority(world())["regime"].unique().to_list() == [counted["regime"][-1]]


def test_rules_beat_the_majority_on_known_regimes() -> None:
    """The figure over ten seeds is 0.61; see docs/regimes.md."""
    assert score(rules(world()), world().judged).macro_f1 > 0.4
    assert score(majority(world()), world().judged).macro_f1 < 0.15


def test_the_table_has_every_contender_with_means_over_worlds() -> None:
    worlds = [with_market(33), with_market(34)]
    told = standings(worlds)
    assert [row["method"] for row in told["contenders"]] == [contender.name for contender in CONTENDERS]
    for row in told["contenders"]:
        assert 0 <= row["macro_f1"] <= 1
        assert row["macro_f1_error"] >= 0
        assert set(row["gain"]) == {"log_volatility", "return"}
    by_rules = [score(rules(one), one.judged).macro_f1 for one in worlds]
    (row,) = (row for row in told["contenders"] if row["method"] == "rules")
    assert row["macro_f1"] == pytest.approx(sum(by_rules) / 2)
    assert row["macro_f1_error"] == pytest.approx(abs(by_rules[0] - by_rules[1]) / 2)
    every = told["next_20_sessions"][-1]
    assert every["regime"] == "all"
    assert every["sessions"] == sum(row["sessions"] for row in told["next_20_sessions"][:-1]) > 1000


def test_one_world_has_no_error_of_the_mean() -> None:
    assert {row["macro_f1_error"] for row in standings([world()])["contenders"]} == {None}


def test_moves_are_those_of_the_closes() -> None:
    bars, _ = five_states(31, segments=3)
    moves = daily_moves(bars, splits_of(), last=date(2028, 1, 3)).filter(pl.col("symbol") == "AAA")
    close = bars["close"].to_numpy()
    assert moves["move"][0] is None
    np.testing.assert_allclose(moves["move"][1:].to_numpy(), np.log(close[1:] / close[:-1]), rtol=0, atol=1e-15)
