"""Interactive Brokers' limits on historical requests, on a clock that only moves when somebody sleeps."""

import threading
from collections import Counter
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.market_data.ib_pacing import Pacing, PacingRules, pacing_of

RULES = PacingRules()


class Watch:
    """Seconds that pass by sleeping, and by `pass_by`."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def sent(requests: Sequence[tuple[str, Hashable]], gaps: list[float] | None = None) -> list[float]:
    """When each request may be sent; `gaps` are idle seconds before each."""
    watch = Watch()
    pacing = Pacing(now=watch.read, sleep=watch.sleep)
    times = []
    for number, (contract, request) in enumerate(requests):
        watch.now += gaps[number] if gaps else 0.0
        pacing.wait(contract, request)
        times.append(watch.now)
    return times


def test_sixty_requests_go_at_once_and_the_next_one_waits_ten_minutes() -> None:
    times = sent([(f"S{number}", number) for number in range(61)])
    assert times[:60] == [0.0] * 60
    assert times[60] == 600.0


def test_the_same_request_waits_fifteen_seconds() -> None:
    assert sent([("SPY", "a"), ("SPY", "a"), ("SPY", "a")]) == [0.0, 15.0, 30.0]


def test_a_different_request_does_not_wait() -> None:
    assert sent([("SPY", "a"), ("SPY", "b")]) == [0.0, 0.0]


def test_the_sixth_request_about_one_contract_waits_two_seconds() -> None:
    times = sent([("SPY", number) for number in range(11)])
    assert times == [0.0] * 5 + [2.0] * 5 + [4.0]


def test_a_later_request_never_overtakes_an_earlier_one_that_waits() -> None:
    """Another thread asks while the sixth request about SPY still waits: the clock stands, and places are kept."""
    waits: list[float] = []
    pacing = Pacing(now=lambda: 0.0, sleep=waits.append)
    for number in range(6):
        pacing.wait("SPY", number)
    assert pacing.wait("IBM", "first") == 2.0
    assert waits == [2.0, 2.0]


def test_time_that_passes_by_itself_counts() -> None:
    assert sent([("SPY", "a"), ("SPY", "a")], gaps=[0.0, 20.0]) == [0.0, 20.0]
    assert sent([("SPY", "a"), ("SPY", "a")], gaps=[0.0, 10.0]) == [0.0, 15.0]


def test_the_wait_is_told() -> None:
    watch = Watch()
    pacing = Pacing(now=watch.read, sleep=watch.sleep)
    assert (pacing.wait("SPY", "a"), pacing.wait("SPY", "a")) == (0.0, 15.0)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["SPY", "IBM", "BAC"]), st.integers(0, 12), st.floats(0, 30)),
        min_size=1,
        max_size=150,
    )
)
def test_no_order_of_requests_breaks_a_limit(asked: list[tuple[str, int, float]]) -> None:
    requests = [(contract, (contract, number)) for contract, number, _ in asked]
    times = sent(requests, [gap for *_, gap in asked])
    noise = 1e-6
    for number, (at, (contract, request)) in enumerate(zip(times, requests, strict=True)):
        before = list(zip(times[: number + 1], requests[: number + 1], strict=True))
        assert sum(at - other < RULES.window_s - noise for other, _ in before) <= RULES.requests
        close = Counter(who for other, (who, _) in before if at - other < RULES.contract_s - noise)
        assert close[contract] <= RULES.of_one_contract
        assert sum(what == request and at - other < RULES.identical_s - noise for other, (_, what) in before) == 1


def test_threads_share_the_limits() -> None:
    watch, lock = Watch(), threading.Lock()
    waits: list[float] = []

    def slept(seconds: float) -> None:
        with lock:
            waits.append(seconds)

    pacing = Pacing(PacingRules(requests=4, window_s=100.0), now=watch.read, sleep=slept)
    threads = [threading.Thread(target=pacing.wait, args=(f"S{n}", n)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [100.0] * 4 + [200.0] * 4


def test_all_users_of_one_gateway_share_its_pacing() -> None:
    assert pacing_of("127.0.0.1", 4002) is pacing_of("127.0.0.1", 4002)
    assert pacing_of("127.0.0.1", 4002) is not pacing_of("127.0.0.1", 7497)


@pytest.mark.parametrize("count", [1, 5, 60])
def test_waits_never_run_backwards(count: int) -> None:
    times = sent([("SPY", number % 3) for number in range(count)])
    assert times == sorted(times)
