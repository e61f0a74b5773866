"""One step of the thesis graph: what forms, holds, ends and conflicts, in an order that gives the same mind twice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import (
    DAY,
    SYMBOLS,
    case,
    facts_at,
    give_up,
    hold,
    mind_of,
    quoted,
    slot_after,
    slot_of,
    step,
    thesis,
    voice,
)
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.slots import Slot
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import MARKET, REGIME_LABELS
from trading_assets.theses.arithmetic import CERTAIN_THESES, CHANCE, probability
from trading_assets.theses.graph import Advanced
from trading_assets.theses.model import Case, Edge, Mind, Reliability, Thesis, ThesisUpdate, Voice

_NOW, _NEXT = slot_of(), slot_after(1)


def _kinds(done: Advanced) -> list[str]:
    return [event.kind for event in done.events]


def _only(done: Advanced) -> Thesis:
    (held,) = done.mind.theses
    return held


# Forming and holding


def test_a_thesis_is_formed_with_what_was_said_of_it() -> None:
    done = step(
        Mind(),
        _NOW,
        updates=[hold()],
        voices=[voice(0.5), voice(1.0, 0.5, source="breadth", symbol=MARKET, weight=0.6)],
    )
    held = _only(done)
    assert held.confidence == held.confidence_formed == probability(0.6 + 0.15)
    assert (held.status, held.target, held.invalidation) == ("active", Decimal(106), Decimal(95))
    assert {c.source: c.log_odds for c in held.contributions} == {"breadth": 0.15, "technical": 0.6}
    assert [(event.kind, event.thesis_id, event.confidence) for event in done.events] == [
        ("formed", held.id, held.confidence)
    ]


def test_without_an_update_nobody_forms_anything() -> None:
    assert step(Mind(), _NOW, voices=[voice(1.0)]).mind.theses == ()


def test_a_held_thesis_keeps_its_claim_and_prices_and_hears_the_news() -> None:
    first = step(Mind(), _NOW, updates=[hold()], voices=[voice(0.5)]).mind
    done = step(first, _NEXT, updates=[hold(horizon="position", evidence=[(True, "large")])], voices=[voice(0.5)])
    held = _only(done)
    assert (held.horizon, held.target, held.formed) == ("swing", Decimal(106), DAY)
    assert held.confidence_formed == first.theses[0].confidence
    assert held.confidence == probability(0.6 + 0.25 * 0.6 * 2 ** (-1 / 3) + 0.5)
    assert _kinds(done) == ["reinforced"]
    assert "strategist +0.50, technical +0.60" in done.events[0].sentence


@pytest.mark.parametrize(("signal", "kinds"), [(-0.5, ["contradicted"]), (0.3, [])])
def test_news_is_told_where_it_moves_confidence(signal: float, kinds: list[str]) -> None:
    first = step(Mind(), _NOW, updates=[hold()], voices=[voice(0.5)]).mind
    assert _kinds(step(first, _NEXT, voices=[voice(signal)])) == kinds


def test_time_alone_fades_what_was_said_and_tells_nothing() -> None:
    first = step(Mind(), _NOW, updates=[hold()], voices=[voice(0.5)]).mind
    done = step(first, slot_after(3))
    assert _only(done).confidence == probability(0.3)
    assert (done.events, done.flags, _only(done).as_of) == ((), (), slot_after(3).at)


@pytest.mark.parametrize("update", [hold("ZZZ"), hold("FFF")])
def test_a_symbol_without_facts_or_outside_the_desks_list_forms_nothing_and_is_flagged(update: Any) -> None:
    facts = facts_at(_NOW, quoted("AAA", _NOW), quoted("FFF", _NOW))
    done = step(Mind(), _NOW, facts, updates=[update], known=("AAA", "ZZZ"))
    assert done.mind.theses == ()
    assert [(flag.title, flag.symbol) for flag in done.flags] == [("no thesis formed", update.symbol)]


def test_without_an_average_true_range_nothing_is_formed() -> None:
    done = step(Mind(), _NOW, facts_at(_NOW, quoted("AAA", _NOW, atr=None)), updates=[hold()])
    assert [flag.sentence for flag in done.flags] == ["it has no average true range"]


def test_facts_of_another_session_are_refused() -> None:
    with pytest.raises(DataNotReady, match=r"2012-06-18 need the facts of the session before.*value: 2012-06-14"):
        step(Mind(), _NEXT, facts_at(_NOW))
    with pytest.raises(DataNotReady, match="desk ingest"):
        step(Mind(), _NOW, Facts(_NOW.at, None, {}, None, None))


# Giving up


def test_what_the_strategist_gives_up_ends_unscored() -> None:
    done = step(mind_of(thesis(said={"a": 1.0})), _NEXT, updates=[give_up()])
    assert (done.mind.theses, done.scores) == ((), ())
    assert [(t.outcome, t.status, t.ended) for t in done.ended] == [("given_up", "ended", _NEXT.session.day)]
    assert _kinds(done) == ["given_up"]


def test_giving_up_what_is_not_there_is_flagged() -> None:
    done = step(mind_of(thesis(direction="short")), _NEXT, updates=[give_up()])
    assert len(done.mind.theses) == 1
    assert [flag.title for flag in done.flags] == ["nothing to give up"]


def test_what_hardly_anybody_believes_is_given_up() -> None:
    done = step(mind_of(thesis()), _NEXT, voices=[voice(-0.75)])
    assert [(t.outcome, t.confidence) for t in done.ended] == [("given_up", probability(-0.9))]
    assert _kinds(done) == ["contradicted", "given_up"]
    assert done.scores == ()


def test_the_strategist_can_hold_for_one_slot_what_nobody_else_believes() -> None:
    done = step(mind_of(thesis()), _NEXT, voices=[voice(-0.75)], updates=[hold()])
    assert _only(done).status == "weak"
    assert step(done.mind, slot_after(1, "10:30")).ended[0].outcome == "given_up"


@pytest.mark.parametrize(("bound", "live"), [(0.3, 1), (0.45, 0), (0.0, 1)])
def test_the_bound_of_belief_can_be_set(bound: float, live: int) -> None:
    assert len(step(mind_of(thesis()), _NEXT, voices=[voice(-0.25)], exit_confidence=bound).mind.theses) == live


# Endings


def test_a_thesis_that_comes_true_is_scored_and_its_sources_learn() -> None:
    first = step(Mind(), _NOW, updates=[hold()], voices=[voice(0.5), voice(-0.2, source="news")]).mind
    done = step(first, _NEXT, facts_at(_NEXT, quoted("AAA", _NEXT, high=106.5)))
    assert _kinds(done) == ["confirmed"]
    said = {"news": probability(-0.24), "technical": probability(0.6), "thesis": probability(0.36)}
    assert {score.source: (score.probability, score.came_true) for score in done.scores} == {
        s: (p, True) for s, p in said.items()
    }
    assert {s: (r.theses, r.said_sum, r.right_sum) for s, r in done.mind.reliability.items()} == {
        s: (1, p, 1.0) for s, p in said.items()
    }


@pytest.mark.parametrize(
    ("bar", "outcome"), [({"close": 94.0}, "invalidated"), ({"close": 94.0, "high": 120.0}, "invalidated")]
)
def test_a_thesis_that_was_wrong_is_scored_against_zero(bar: dict[str, float], outcome: str) -> None:
    done = step(mind_of(thesis(said={"a": 1.0})), _NEXT, facts_at(_NEXT, quoted("AAA", _NEXT, **bar)))
    assert [t.outcome for t in done.ended] == [outcome]
    assert {score.came_true for score in done.scores} == {False}


def test_a_thesis_that_expires_did_not_come_true() -> None:
    late = slot_after(20)
    held = thesis(said={"a": 1.0}).model_copy(update={"as_of": slot_after(19).at})
    done = step(mind_of(held), late)
    assert [(t.outcome, t.ended) for t in done.ended] == [("expired", late.session.day)]
    assert {score.came_true for score in done.scores} == {False}


@pytest.mark.parametrize("known", [("BBB",), SYMBOLS])
def test_a_thesis_on_a_symbol_that_is_gone_always_ends_unscored(known: Sequence[str]) -> None:
    facts = facts_at(_NEXT, quoted("BBB", _NEXT)) if known == SYMBOLS else facts_at(_NEXT)
    done = step(mind_of(thesis(), thesis("BBB")), _NEXT, facts, known=known, updates=[hold()], voices=[voice(1.0)])
    assert [t.symbol for t in done.mind.theses] == ["BBB"]
    assert [(t.symbol, t.outcome) for t in done.ended] == [("AAA", "delisted")]
    assert done.scores == ()


def test_a_split_between_two_slots_changes_no_belief() -> None:
    before = mind_of(thesis(said={"a": 0.5}))
    done = step(before, _NEXT, facts_at(_NEXT, quoted("AAA", _NEXT, split=2)))
    held = _only(done)
    assert (held.target, held.split_ratio, held.confidence) == (
        Decimal(53),
        Decimal(2),
        probability(0.5 * 2 ** (-1 / 3)),
    )
    later = slot_after(1, "10:30")
    assert _only(step(done.mind, later, facts_at(later, quoted("AAA", later, split=2)))).target == Decimal(53)
    after = slot_after(2)
    assert _only(step(done.mind, after, facts_at(after, quoted("AAA", after, 50.0)))).target == Decimal(53)


# Conflicts and relations


def test_opposite_theses_are_flagged_once_and_ruled_on_every_time() -> None:
    first = step(Mind(), _NOW, updates=[hold(), hold(direction="short")], voices=[voice(0.02)])
    assert {t.status for t in first.mind.theses} == {"conflicted"}
    assert [flag.title for flag in first.flags] == ["opposite theses"]
    assert _kinds(first) == ["formed", "formed", "conflict", "conflict"]
    second = step(first.mind, _NEXT, voices=[voice(0.5)])
    assert [(t.direction, t.status) for t in second.mind.theses] == [("long", "active"), ("short", "weak")]
    assert second.flags == ()
    assert "conflict" not in _kinds(second)


def test_related_theses_support_each_other_from_the_facts_correlations() -> None:
    facts = facts_at(_NOW, correlations={("AAA", "BBB"): 0.8})
    done = step(Mind(), _NOW, facts, updates=[hold(), hold("BBB")])
    assert [(edge.kind, edge.weight, edge.since) for edge in done.mind.edges] == [
        ("correlated", 0.8, DAY),
        ("supports", 0.8, DAY),
    ]


def test_a_circle_in_the_mind_is_broken_told_and_flagged() -> None:
    a, b = thesis("AAA"), thesis("BBB")
    circle = [
        Edge(kind="supports", source=x.id, target=y.id, weight=weight, since=DAY)
        for x, y, weight in ((a, b, 0.9), (b, a, 0.7))
    ]
    done = step(mind_of(a, b, edges=circle), _NEXT)
    assert done.mind.edges == (circle[0],)
    assert _kinds(done) == ["cycle"]
    assert [(flag.title, flag.symbol) for flag in done.flags] == [("theses support each other in a circle", "BBB")]


# Records


def test_a_source_with_a_bad_record_is_believed_less() -> None:
    bad = Reliability(theses=80, said_sum=52.0, right_sum=80 * CHANCE)
    done = step(Mind(reliability={"technical": bad}), _NOW, updates=[hold()], voices=[voice(0.5)])
    assert _only(done).confidence == probability(0.3)
    assert _only(done).contributions[0].log_odds == 0.6, "what it said is kept as it was said"


def test_a_thesis_ends_with_the_confidence_that_is_left() -> None:
    bad = Reliability(theses=80, said_sum=52.0, right_sum=80 * CHANCE)
    mind = mind_of(thesis(said={"technical": 0.6}), reliability={"technical": bad})
    done = step(mind, _NEXT, facts_at(_NEXT, quoted("AAA", _NEXT, high=106.0)))
    assert [(t.outcome, t.confidence) for t in done.ended] == [("confirmed", probability(0.3 * 2 ** (-1 / 3)))]


def test_who_says_next_to_nothing_is_not_named() -> None:
    first = step(Mind(), _NOW, updates=[hold()], voices=[voice(0.5)]).mind
    done = step(first, _NEXT, voices=[voice(0.5), voice(0.001, source="news")])
    assert [event.sentence for event in done.events] == ["AAA long: from 0.62 by technical +0.60"]


def test_a_source_that_is_certain_of_eight_theses_in_a_row_is_flagged_once_and_counts_half() -> None:
    mind, flagged = Mind(), list[str]()
    for n in range(CERTAIN_THESES + 1):
        done = step(mind, slot_after(n), updates=[hold()], voices=[voice(0.5, 1.0)])
        flagged += [flag.sentence for flag in done.flags]
        assert _only(done).confidence == probability(0.6 if n < CERTAIN_THESES - 1 else 0.3)
        mind = step(done.mind, slot_after(n, "10:30"), updates=[give_up()]).mind
        assert mind.reliability["technical"].certain == n + 1
    assert flagged == ["technical was certain of its last 8 theses and counts half"]


def test_one_doubt_makes_a_source_count_in_full_again() -> None:
    mind = Mind(reliability={"technical": Reliability(certain=20)})
    done = step(mind, _NOW, updates=[hold()], voices=[voice(0.5, 0.9)])
    assert done.mind.reliability["technical"].certain == 0
    assert _only(done).confidence == probability(0.54)


def test_a_source_is_flagged_in_the_slot_in_which_it_goes_too_far() -> None:
    mind = Mind(reliability={"technical": Reliability(certain=CERTAIN_THESES - 1)})
    done = step(mind, _NOW, updates=[hold()], voices=[voice(0.5, 1.0)])
    assert [flag.title for flag in done.flags] == ["always certain"]
    again = step(done.mind, _NEXT, updates=[hold("BBB")], voices=[voice(0.5, 1.0, symbol="BBB")])
    assert again.flags == ()


# Laws


@dataclass(frozen=True)
class _Day:
    """What is said in a session's first slot, and the last closes, correlation and split that it sees."""

    voices: tuple[Voice, ...]
    cases: tuple[Case, ...]
    updates: tuple[ThesisUpdate, ...]
    closes: tuple[float, ...]
    correlation: float | None
    split: int


def _day(random: Random) -> _Day:
    """Anything that agents may say of three symbols: nonsense, doubles, certainty, silence."""
    some = SYMBOLS[:3]
    voices = tuple(
        voice(
            random.choice([random.uniform(-1, 1), 0.0, 1.0]),
            random.choice([random.random(), 1.0]),
            source=random.choice(["technical", "news", "breadth"]),
            symbol=random.choice([*some, MARKET]),
            weight=random.choice([0.0, 0.6, 1.2, 3.0]),
        )
        for _ in range(random.randint(0, 6))
    )
    cases = tuple(
        case(random.choice(["bull", "bear"]), random.random(), symbol=random.choice(some))
        for _ in range(random.randint(0, 4))
    )
    wanted = random.sample([(symbol, side) for symbol in some for side in ("long", "short")], random.randint(0, 4))
    updates = tuple(_update(random, symbol, side) for symbol, side in wanted)
    closes = tuple(round(random.choice([100.0, random.uniform(80, 120)]), 2) for _ in some)
    return _Day(
        voices, cases, updates, closes, random.choice([None, random.uniform(-1, 1), 0.8]), random.choice([1, 1, 2])
    )


def _update(random: Random, symbol: str, side: Any) -> ThesisUpdate:
    if random.random() < 0.2:
        return give_up(symbol, side)
    buckets: Any = ["small", "medium", "large"]
    evidence = [(random.random() < 0.5, random.choice(buckets)) for _ in range(random.randint(0, 3))]
    horizons: Any = ["intraday", "swing", "position"]
    return hold(symbol, side, random.choice(horizons), evidence)


def _days_of(seed: int) -> list[_Day]:
    random = Random(seed)
    return [_day(random) for _ in range(random.randint(1, 6))]


_DAYS = st.integers(0, 2**32).map(_days_of)


def _facts(slot: Slot, closes: Sequence[float], correlation: float | None, split: int) -> Facts:
    known = [
        quoted(symbol, slot, close) for symbol, close in zip(SYMBOLS[1:], [*closes[1:], 100.0, 100.0], strict=True)
    ]
    pairs = {("AAA", "BBB"): correlation, ("BBB", "CCC"): correlation}
    return facts_at(slot, quoted("AAA", slot, closes[0], split=split), *known, correlations=pairs)


def _step(mind: Mind, slot: Slot, day: _Day) -> Advanced:
    facts = _facts(slot, day.closes, day.correlation, day.split)
    return step(mind, slot, facts, voices=day.voices, cases=day.cases, updates=day.updates)


def _walk(days: Sequence[_Day]) -> list[Advanced]:
    """The steps of some sessions, each with its own words and prices."""
    done: list[Advanced] = [Advanced(Mind())]
    for number, day in enumerate(days):
        done.append(_step(done[-1].mind, slot_after(number), day))
    return done[1:]


@settings(deadline=None, max_examples=25)
@given(_DAYS)
def test_whatever_happens_the_mind_stays_in_order(days: list[_Day]) -> None:
    before = Mind()
    for done in _walk(days):
        mind = done.mind
        assert Mind.model_validate_json(mind.model_dump_json()) == mind
        assert all(0 < t.confidence < 1 and t.status != "ended" and t.outcome is None for t in mind.theses)
        assert all(t.status == "ended" and t.outcome for t in done.ended)
        keys = [(t.symbol, t.direction) for t in mind.theses]
        assert keys == sorted(set(keys))
        live = {t.id for t in mind.theses}
        assert all({edge.source, edge.target} <= live for edge in mind.edges)
        assert {t.id for t in before.theses} <= live | {t.id for t in done.ended}
        told = {(event.thesis_id, str(event.kind)) for event in done.events}
        assert {(t.id, str(t.outcome)) for t in done.ended} <= told, "no thesis ends in silence"
        before = mind


@settings(deadline=None, max_examples=25)
@given(_DAYS)
def test_a_step_taken_twice_gives_the_same_mind(days: list[_Day]) -> None:
    *past, last = days
    minds = [_walk(past)[-1].mind if past else Mind()]
    for _ in range(3):
        minds.append(_step(minds[-1], slot_after(len(past)), last).mind)
    assert minds[1] == minds[2] == minds[3]


@settings(deadline=None, max_examples=25)
@given(_DAYS, st.integers(0, 99))
def test_the_order_of_what_is_said_does_not_matter(days: list[_Day], seed: int) -> None:
    random = Random(seed)
    other = [
        replace(
            day,
            voices=tuple(random.sample(day.voices, len(day.voices))),
            cases=tuple(random.sample(day.cases, len(day.cases))),
            updates=tuple(random.sample(day.updates, len(day.updates))),
        )
        for day in days
    ]
    for one, two in zip(_walk(days), _walk(other), strict=True):
        assert one.mind == two.mind
        assert (one.ended, one.scores) == (two.ended, two.scores)


def _book(days: Sequence[_Day]) -> FactBook:
    """The facts of some sessions as the lake would hold them: bars, ranges and splits."""
    bars, indicators, actions = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for number, day in enumerate(days):
        session = slot_after(number).session
        before = XNYS.previous(session.day)
        for symbol, close in zip(SYMBOLS, day.closes, strict=False):
            of = {"symbol": symbol, "session": before.day, "knowable_at": before.close, "close": close}
            prices = {"open": close, "high": close + 1, "low": close - 1, "volume": 1e6}
            bars.append({**of, **prices, "start": before.open, "source": "test"})
            indicators.append({**of, "atr_14": 2.0})
        if day.split != 1:
            of = {"symbol": "AAA", "session": session.day, "knowable_at": session.open, "source": "test"}
            actions.append({**of, "kind": "split", "ratio": float(day.split), "amount": 0.0})
    tables = {DAILY_BARS: bars, INDICATORS: indicators, CORPORATE_ACTIONS: actions, BREADTH: [], REGIME_LABELS: []}
    return FactBook({table.name: table.frame(rows) for table, rows in tables.items()})


def _minds(days: Sequence[_Day], book: FactBook) -> list[Advanced]:
    done: list[Advanced] = [Advanced(Mind())]
    for number, day in enumerate(days):
        slot = slot_after(number)
        said = {"voices": day.voices, "cases": day.cases, "updates": day.updates}
        done.append(step(done[-1].mind, slot, book.at(slot.at), **said))
    return done[1:]


@settings(deadline=None, max_examples=20)
@given(_DAYS, _DAYS)
def test_facts_of_later_sessions_never_change_a_mind(days: list[_Day], others: list[_Day]) -> None:
    assert _minds(days, _book([*days, *others])) == _minds(days, _book(days))


@settings(deadline=None, max_examples=20)
@given(_DAYS, st.sampled_from(SYMBOLS[:3]))
def test_on_a_symbol_that_left_the_market_no_thesis_stays(days: list[_Day], gone: str) -> None:
    mind = _walk(days)[-1].mind
    slot = slot_after(len(days))
    facts = facts_at(slot, *(quoted(symbol, slot) for symbol in SYMBOLS if symbol != gone))
    done = step(mind, slot, facts, voices=days[-1].voices, updates=days[-1].updates)
    assert all(t.symbol != gone for t in done.mind.theses)
    assert {t.outcome for t in done.ended if t.symbol == gone} <= {"delisted"}


@settings(deadline=None, max_examples=20)
@given(_DAYS)
def test_a_step_of_several_slots_decays_as_one(days: list[_Day]) -> None:
    mind = _walk(days)[-1].mind
    noon, evening = slot_after(len(days) - 1, "10:30"), slot_after(len(days) - 1, "15:30")
    facts = _facts(noon, days[-1].closes, days[-1].correlation, days[-1].split)
    through = step(step(mind, noon, facts, exit_confidence=0.0).mind, evening, facts, exit_confidence=0.0).mind
    at_once = step(mind, evening, facts, exit_confidence=0.0).mind
    assert through == at_once
    assert mind.reliability == at_once.reliability
