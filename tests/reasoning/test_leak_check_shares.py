"""Exact intervals agree with an independent library, cover what they promise, and say nothing about nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from trading_assets.reasoning.proportions import Gap, Share, at_least, bounds

COUNTS = st.integers(1, 600).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


@given(COUNTS)
@settings(max_examples=30, deadline=None)
def test_the_interval_is_that_of_clopper_and_pearson(pair: tuple[int, int]) -> None:
    hits, count = pair
    reference = binomtest(hits, count).proportion_ci(0.95, method="exact")
    share = Share(hits, count)
    assert (share.low, share.high) == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert share.low <= hits / count <= share.high


@given(COUNTS, st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_the_tail_is_that_of_the_binomial_distribution(pair: tuple[int, int], chance: float) -> None:
    hits, count = pair
    assert at_least(hits, count, chance) == pytest.approx(binom.sf(hits - 1, count, chance), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("hits", "count", "chance", "expected"), [
    (0, 5, 0.0, 1.0), (1, 5, 0.0, 0.0), (5, 5, 1.0, 1.0), (6, 5, 1.0, 0.0), (-1, 5, 0.5, 1.0), (5, 5, 0.5, 1 / 32),
])  # fmt: skip
def test_certain_and_impossible_tails(hits: int, count: int, chance: float, expected: float) -> None:
    assert at_least(hits, count, chance) == pytest.approx(expected)


def test_no_trial_allows_everything() -> None:
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (None, 0.0, 1.0)
    assert Gap(0, 0, 0).value is None
    assert (Gap(0, 0, 0).low, Gap(0, 0, 0).high) == (-1.0, 1.0)


def test_all_and_none_have_one_open_end() -> None:
    assert bounds(0, 50)[0] == 0.0
    assert bounds(50, 50)[1] == 1.0
    assert bounds(50, 50)[0] == pytest.approx(0.025 ** (1 / 50))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))))
@settings(max_examples=30, deadline=None)
def test_a_gap_turned_round_has_its_ends_turned_round(counts: tuple[int, int, int]) -> None:
    gained, lost, count = counts
    gap, other = Gap(gained, lost, count), Gap(lost, gained, count)
    assert gap.value is not None
    assert gap.low <= gap.value <= gap.high
    assert (gap.low, gap.high) == pytest.approx((-other.high, -other.low))


def test_the_gaps_interval_holds_at_least_what_it_promises() -> None:
    """Over all outcomes of 40 pairs in which 30 % gain and 10 % lose, the interval misses the true gap in at most 5 %."""
    count, gain, loss = 40, 0.3, 0.1
    missed = 0.0
    for gained in range(count + 1):
        for lost in range(count + 1 - gained):
            gap = Gap(gained, lost, count)
            if not gap.low <= gain - loss <= gap.high:
                weight = binom.pmf(gained, count, gain) * binom.pmf(lost, count - gained, loss / (1 - gain))
                missed += float(weight)
    assert 0 < missed <= 0.05


def test_more_trials_narrow_the_interval() -> None:
    widths = [Share(n // 2, n).high - Share(n // 2, n).low for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)
