"""One channel that fails or hangs: paused, said once, retried, and never in the way of another."""

import threading
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.notify.model import Notice
from resources.notify.outlets import PAUSE_FIRST, PAUSE_MAX, WAITING_MAX, Outlet
from tests.resources.notify.parts import NOW, Memory, notice

SECOND = timedelta(seconds=1)


def outlet(sender: Memory) -> Outlet:
    return Outlet(sender, lambda text: text)


def tried(made: Outlet, after: timedelta, *notices: Notice) -> tuple[frozenset[str], str]:
    """One attempt so long after the first."""
    made.add(notices)
    made.begin(NOW + after)
    return made.finish(5.0, NOW + after)


def test_what_is_told_waits_no_more() -> None:
    memory = Memory()
    made = outlet(memory)
    assert tried(made, 0 * SECOND, notice("a"), notice("b")) == (frozenset({"a 0", "b 0"}), "")
    assert made.waiting == 0
    assert tried(made, SECOND) == (frozenset(), "")
    assert (memory.calls, memory.codes) == (1, ["a", "b"])


def test_a_failure_is_said_once_and_the_pauses_double_up_to_a_bound() -> None:
    memory = Memory(problem="no line")
    made = outlet(memory)
    now, pauses, said = timedelta(0), [], []
    for _ in range(10):
        calls = memory.calls
        while memory.calls == calls:
            said.append(tried(made, now, notice("a"))[1])
            begun, now = now, now + SECOND
        pauses.append(begun)
    gaps = [after - before for before, after in pairwise(pauses)]
    assert gaps[:4] == [PAUSE_FIRST, 2 * PAUSE_FIRST, 4 * PAUSE_FIRST, 8 * PAUSE_FIRST]
    assert gaps[-1] == PAUSE_MAX
    assert [each for each in said if each] == ["channel memory fails: no line; trying again after 5 s and longer"]


def test_what_failed_is_told_when_the_channel_works_again() -> None:
    memory = Memory(problem="no line")
    made = outlet(memory)
    tried(made, 0 * SECOND, notice("a"))
    memory.problem = ""
    assert tried(made, PAUSE_FIRST - SECOND, notice("b")) == (frozenset(), "")
    keys, said = tried(made, PAUSE_FIRST, notice("c"))
    assert keys == {"a 0", "b 0", "c 0"}
    assert said == "channel memory works again after 1 failures"
    assert memory.codes == ["a", "b", "c"]


def test_a_later_notice_of_the_same_thing_takes_the_earlier_ones_place() -> None:
    memory = Memory(problem="no line")
    made = outlet(memory)
    tried(made, 0 * SECOND, notice("a", "first"))
    memory.problem = ""
    tried(made, PAUSE_FIRST, notice("a", "second"))
    assert [each.sentence for each in memory.told] == ["second"]


def test_a_hanging_channel_is_said_once_waited_for_once_and_never_asked_twice_at_a_time() -> None:
    memory = Memory(gate=threading.Event())
    made = outlet(memory)
    made.add([notice("a")])
    made.begin(NOW)
    assert made.finish(0.05, NOW) == (frozenset(), "channel memory hangs; 1 notices wait for it")
    assert made.is_late
    for _ in range(20):
        assert tried(made, SECOND, notice("b")) == (frozenset(), "")
    assert memory.calls == 1
    assert memory.gate is not None
    memory.gate.set()
    for _ in range(500):
        keys, said = made.finish(0.0, NOW)
        if keys:
            break
        threading.Event().wait(0.01)
    assert keys == {"a 0"}
    assert said == "channel memory works again after 1 failures"
    assert tried(made, 2 * SECOND)[0] == {"b 0"}


def test_a_bug_of_a_library_is_a_failure_of_its_channel() -> None:
    class Broken(Memory):
        def send(self, notices: object) -> None:  # noqa: ARG002
            raise KeyError("deep inside")

    assert "deep inside" in tried(outlet(Broken("broken")), 0 * SECOND, notice("a"))[1]


def test_a_channel_is_told_only_what_it_asked_for() -> None:
    memory = Memory(severities=frozenset({"critical"}))
    made = outlet(memory)
    tried(made, 0 * SECOND, notice("a", severity="info"), notice("b", severity="critical"), notice("c"))
    assert memory.codes == ["b"]


def test_pages_that_were_answered_while_they_waited_are_not_told_any_more() -> None:
    memory = Memory(problem="no line")
    made = outlet(memory)
    tried(made, 0 * SECOND, notice("a", page=1), notice("b", page=2), notice("news", severity="info", page=3))
    made.drop_answered({2})
    memory.problem = ""
    tried(made, PAUSE_FIRST)
    assert memory.codes == ["b", "news"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["info", "warning", "critical"]), st.integers(0, 400)), max_size=500))
def test_however_much_waits_it_is_bounded_and_pages_outlast_news(events: list[tuple[str, int]]) -> None:
    memory = Memory(problem="no line")
    made = outlet(memory)
    notices = [notice(f"{severity}{number}", severity=severity, page=number) for severity, number in events]  # type: ignore[arg-type] # drawn from the severities
    for each in notices:
        made.add([each])
    pages = {each.key for each in notices if each.severity != "info"}
    assert made.waiting == min(len({each.key for each in notices}), WAITING_MAX)
    memory.problem = ""
    told, _ = tried(made, 0 * SECOND)
    assert len(pages & told) == min(len(pages), WAITING_MAX)
