"""The leak check: who remembers and who reads are told apart, on markets whose outcome nobody can guess and on one with trends."""

from collections.abc import Callable, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tests.reasoning.worlds import cases, histories, persistent
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.reasoning.doubles import Memoriser, Mixture, Reasoner
from trading_assets.reasoning.leak_check import (
    AskOne,
    LeakReport,
    Verdict,
    by_rules,
    numbers,
    one_by_one,
    probe,
    questions_of,
)
from trading_assets.reasoning.mask_days import ANCHOR
from trading_assets.reasoning.model import In, Out, Role
from trading_assets.reasoning.probes import (
    HORIZON_SESSIONS,
    RECALL_PROBE,
    TREND_PROBE,
    WINDOW_SESSIONS,
    Call,
    Case,
    Close,
    Recall,
    RecallQuestion,
    TrendInputs,
    cases_of,
    inverted,
    no_memory,
    shuffled,
    swapped,
    trend,
)

PRICES = st.lists(st.integers(500, 50_000), min_size=3, max_size=40).map(lambda c: tuple(x / 100 for x in c))
SEEDS = (7, 11, 23)


def asked(closes: Sequence[float], symbol: str = "AAPL") -> TrendInputs:
    return TrendInputs(symbol=symbol, session=date(2012, 3, 1), closes=tuple(closes), horizon_sessions=10)


def value(share: Any) -> float:
    assert share.value is not None
    return float(share.value)


# The three numbers, in each of several markets


@pytest.mark.parametrize("seed", SEEDS)
def test_who_remembers_is_found_out_by_each_probe(seed: int) -> None:
    report = probe(cases(seed), Memoriser(cases(seed)))
    assert value(report.named) == 1.0
    assert 0.35 < value(report.masked) < 0.65, "without name and day only the coin is left"
    assert report.gap.low > 0.25
    assert value(report.unchanged) == 1.0
    assert value(report.follows_prices) == 0.0
    assert (value(report.recalled), value(report.recalled_right)) == (1.0, 1.0)
    assert report.recall_doubt < 1e-20
    assert report.verdict == "memorises"
    assert report.leaks


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("subject", [Reasoner(), by_rules])
def test_who_reads_is_not_suspected(seed: int, subject: Any) -> None:
    report = probe(cases(seed), subject)
    assert report.gap.low <= 0 <= report.gap.high <= 0.05
    assert value(report.unchanged) < 0.05
    assert value(report.follows_prices) > 0.9
    assert value(report.recalled) == 0.0
    assert report.recalled_right.value is None
    assert (report.verdict, report.leaks) == ("reasons", False)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_does_both_stands_between_them(seed: int) -> None:
    report = probe(cases(seed), Mixture(cases(seed)))
    assert 0.6 < value(report.named) < 0.9
    assert 0.35 < value(report.unchanged) < 0.65
    assert 0.3 < value(report.follows_prices) < 0.7
    assert 0.3 < value(report.recalled) < 0.7
    assert (report.verdict, report.leaks) == ("mixed", True)


def test_where_trends_carry_on_a_reader_is_right_with_and_without_names() -> None:
    world = persistent(400)
    reader, memory, both = (probe(world, subject) for subject in (Reasoner(), Memoriser(world), Mixture(world)))
    assert value(reader.named) == pytest.approx(value(reader.masked), abs=0.02)
    assert value(reader.named) > 0.75
    assert value(memory.masked) == pytest.approx(0.5, abs=0.08)
    assert value(reader.named) < value(both.named) < value(memory.named) == 1.0
    assert value(memory.masked) < value(both.masked) < value(reader.masked)
    assert [one.verdict for one in (reader, memory, both)] == ["reasons", "memorises", "mixed"]


def test_a_memory_of_other_years_is_no_memory_of_these() -> None:
    report = probe(cases(7), Memoriser(cases(11)))
    assert (report.verdict, value(report.unchanged) < 0.7) == ("cannot tell", True)


def test_the_same_subject_gets_the_same_report() -> None:
    assert probe(cases(7), Mixture(cases(7))) == probe(cases(7), Mixture(cases(7)))


# Verdicts that must not be given


@pytest.mark.parametrize("count", [1, 5, 29])
def test_few_cases_say_nothing_even_of_who_remembers_all(count: int) -> None:
    few = cases(7, count)
    report = probe(few, Memoriser(few))
    assert report.verdict == "cannot tell"
    assert f"{count} cases were answered, 30 are needed" in report.sentence
    assert not report.leaks


class Fixed:
    """Says one thing to everything."""

    def __init__(self, direction: str, known: Callable[[BaseModel], bool] = lambda _: True) -> None:
        self.direction, self.known = direction, known

    def __call__(self, role: Role[In, Out], inputs: In) -> Out | None:
        if not self.known(inputs):
            return None
        return role.output.model_validate({"direction": self.direction, "confidence": 0.5})


@pytest.mark.parametrize("direction", ["up", "down"])
def test_who_always_says_the_same_is_neither_reading_nor_remembering(direction: str) -> None:
    report = probe(cases(7), one_by_one(Fixed(direction)))
    assert value(report.unchanged) == 1.0
    assert report.follows_prices.count == 0
    assert report.verdict == "cannot tell"
    assert "only 0% of answers change with the prices" in report.sentence
    assert report.recall_doubt > 0.01, "saying the more frequent outcome each time is no memory"


def test_who_answers_seldom_is_not_judged() -> None:
    def known(inputs: BaseModel) -> bool:
        return isinstance(inputs, TrendInputs) and (inputs.session == ANCHOR or inputs.session.day % 2 == 0)

    report = probe(cases(7), one_by_one(Fixed("up", known)))
    assert 30 < report.answered < 160
    assert f"only {report.answered} of 200 cases were answered" in report.sentence
    assert report.verdict == "cannot tell"


def test_who_never_answers_gets_a_report_without_numbers() -> None:
    report = probe(cases(7), one_by_one(Fixed("up", lambda _: False)))
    assert (report.answered, report.named.value, report.gap.value) == (0, None, None)
    assert numbers(report)["accuracy_named"] is None
    assert report.verdict == "cannot tell"


def test_a_guess_about_the_past_that_is_not_better_than_chance_is_no_memory() -> None:
    class Guesser(Reasoner):
        def direction(self, question: BaseModel) -> Any:
            return "up" if isinstance(question, RecallQuestion) else super().direction(question)

    report = probe(cases(7), Guesser())
    assert value(report.recalled) == 1.0
    assert report.verdict == "reasons"


def test_always_saying_what_mostly_happened_is_no_memory() -> None:
    """Where most cases rose, "up" is right most of the time; chance is counted accordingly."""
    rose = [case for case in cases(7, 400) if case.outcome == "up"]
    fell = [case for case in cases(7, 400) if case.outcome == "down"]
    world = [*rose[:120], *fell[:30]]

    class Optimist(Reasoner):
        def direction(self, question: BaseModel) -> Any:
            return "up" if isinstance(question, RecallQuestion) else super().direction(question)

    report = probe(world, Optimist())
    assert value(report.recalled_right) == report.recall_chance == 0.8
    assert report.recall_doubt > 0.4
    assert report.verdict == "reasons"


def test_a_memory_of_the_date_alone_shows_even_when_the_prices_are_read() -> None:
    known = {(case.inputs.symbol, case.inputs.session): case.outcome for case in cases(7)}

    class Remembers(Reasoner):
        def direction(self, question: BaseModel) -> Any:
            if isinstance(question, RecallQuestion):
                return known[question.symbol, question.session]
            return super().direction(question)

    report = probe(cases(7), Remembers())
    assert report.verdict == "mixed"
    assert "recalls 100% of outcomes from name and day alone" in report.sentence
    assert "more of the cases" not in report.sentence


def test_who_denies_what_it_remembers_is_found_out_by_the_gap() -> None:
    class Denier(Memoriser):
        def direction(self, question: BaseModel) -> Any:
            return "unknown" if isinstance(question, RecallQuestion) else super().direction(question)

    report = probe(cases(7), Denier(cases(7)))
    assert report.recalled_right.value is None
    assert report.verdict == "memorises"
    assert "recalls" not in report.sentence


def test_a_subject_that_loses_answers_is_refused() -> None:
    def forgetful(role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        return by_rules(role, questions)[1:]

    with pytest.raises(PermanentFailure, match="answers are missing"):
        probe(cases(7), forgetful)


def test_nothing_cannot_be_probed() -> None:
    with pytest.raises(PermanentFailure, match="needs cases"):
        probe([], by_rules)


# What is asked


def test_six_questions_are_asked_of_each_case_and_the_masked_one_shows_nothing() -> None:
    world = cases(7, 60)
    questions = questions_of(world)
    assert [len(batch) for batch in questions.trends] == [60] * 5
    named, masked, turned, mixed, traded = questions.trends
    for case, hidden in zip(world, masked, strict=True):
        text = hidden.model_dump_json()
        assert hidden.symbol == "ASSET_A"
        assert hidden.session == ANCHOR
        assert hidden.closes[0] == 100.0
        assert case.inputs.symbol not in text
        assert str(case.inputs.session.year) not in text
    for batch in (named, turned, mixed, traded):
        assert [(one.symbol, one.session) for one in batch] == [(c.inputs.symbol, c.inputs.session) for c in world]
    assert [one.model_dump() for one in questions.recall] == [
        {"symbol": c.inputs.symbol, "session": c.inputs.session, "horizon_sessions": HORIZON_SESSIONS} for c in world
    ]


def test_a_subject_sees_single_questions_when_it_wants_them() -> None:
    seen: list[str] = []

    def note(role: Role[In, Out], inputs: In) -> Out | None:
        seen.append(role.skill)
        return role.rules(inputs) if role.rules else None

    subject: AskOne = note
    assert probe(cases(7, 40), one_by_one(subject)) == probe(cases(7, 40), by_rules)
    assert (seen.count("trend-probe"), seen.count("recall-probe")) == (200, 40)


@given(PRICES)
@settings(max_examples=40)
def test_inverted_prices_move_the_other_way_and_end_where_they_were(closes: tuple[float, ...]) -> None:
    turned = inverted(asked(closes))
    assert turned.closes[-1] == closes[-1]
    assert (turned.symbol, turned.session) == ("AAPL", date(2012, 3, 1))
    for (before, after), (then, now) in zip(pairwise(closes), pairwise(turned.closes), strict=True):
        assert (after - before) * (now - then) <= 0


@given(PRICES)
@settings(max_examples=40)
def test_shuffled_prices_have_the_same_ends_and_the_same_moves(closes: tuple[float, ...]) -> None:
    mixed = shuffled(asked(closes))
    assert mixed.closes[0] == closes[0]
    assert mixed.closes[-1] == closes[-1]
    assert len(mixed.closes) == len(closes)
    if min(mixed.closes) > 5:
        moves = [sorted(after / before for before, after in pairwise(one)) for one in (closes, mixed.closes)]
        assert moves[0] == pytest.approx(moves[1], rel=0.01)


def test_shuffling_changes_the_order_and_is_the_same_each_time() -> None:
    case = cases(7)[5].inputs
    assert shuffled(case) == shuffled(case)
    assert shuffled(case).closes != case.closes


@given(PRICES, PRICES)
@settings(max_examples=40)
def test_swapped_prices_are_the_donors_moves_at_the_own_level(own: tuple[float, ...], donor: tuple[float, ...]) -> None:
    traded = swapped(asked(own), asked(donor, "MSFT"))
    assert traded.closes[-1] == own[-1]
    assert traded.symbol == "AAPL"
    scale = own[-1] / donor[-1]
    assert all(abs(made - close * scale) <= 0.01 for made, close in zip(traded.closes, donor, strict=True))


@given(PRICES, PRICES)
@settings(max_examples=25)
def test_made_prices_are_quoted_in_cents_like_real_ones(own: tuple[float, ...], donor: tuple[float, ...]) -> None:
    for made in (inverted(asked(own)), shuffled(asked(own)), swapped(asked(own), asked(donor))):
        assert all(close > 0 and round(close, 2) == close for close in made.closes)


# Cases


def test_cases_are_spread_over_symbols_and_years_and_their_horizons_do_not_overlap() -> None:
    chosen = cases(7, 400)
    assert len(chosen) == 400
    assert {case.inputs.session.year for case in chosen} == {2016, 2017, 2018, 2019, 2020}
    assert len({case.inputs.symbol for case in chosen}) >= 15
    for symbol, closes in histories(7).items():
        places = [index for index, close in enumerate(closes) for case in chosen
                  if (case.inputs.symbol, case.inputs.session) == (symbol, close.session)]  # fmt: skip
        assert all(later - earlier >= HORIZON_SESSIONS for earlier, later in pairwise(places))


def test_a_case_holds_the_closes_up_to_its_session_and_what_came_after() -> None:
    by_day = {
        symbol: {close.session: place for place, close in enumerate(closes)} for symbol, closes in histories(7).items()
    }
    for case in cases(7):
        closes = histories(7)[case.inputs.symbol]
        last = by_day[case.inputs.symbol][case.inputs.session]
        shown = [close.traded_usd for close in closes[last + 1 - WINDOW_SESSIONS : last + 1]]
        assert list(case.inputs.closes) == pytest.approx(shown, abs=1e-4)
        later = closes[last + HORIZON_SESSIONS].traded_usd
        assert case.outcome == ("up" if later > shown[-1] else "down")


def test_a_split_within_a_case_is_no_move() -> None:
    days = [case.session for case in histories(7)["SIM000"][:51]]
    split = [Close(day, 100.0 if place < 20 else 50.0, 50.0 + place / 100) for place, day in enumerate(days)]
    (case,) = cases_of({"S": split}, count=5)
    assert max(case.inputs.closes) < 51
    assert case.outcome == "up"
    assert case.inputs.closes[-1] == pytest.approx(50.0)


def test_prices_stand_in_the_share_count_of_the_session_as_people_saw_them() -> None:
    days = [case.session for case in histories(7)["SIM000"][:60]]
    split = [Close(day, 100.0 if place < 55 else 50.0, 50.0) for place, day in enumerate(days)]
    split[49] = Close(days[49], 50.0, 51.0)
    (case,) = cases_of({"S": split}, count=1)
    assert case.inputs.closes == (100.0,) * WINDOW_SESSIONS


def test_a_price_that_did_not_move_is_no_case() -> None:
    flat = [Close(close.session, 10.0, 10.0) for close in histories(7)["SIM000"][:80]]
    with pytest.raises(DataNotReady, match="no symbol has 50 daily bars"):
        cases_of({"S": flat}, count=1)


def test_too_short_a_history_names_what_is_missing() -> None:
    with pytest.raises(DataNotReady, match="desk ingest"):
        cases_of({"S": histories(7)["SIM000"][:49], "T": []}, count=1)


@pytest.mark.parametrize("count", [0, -3])
def test_no_case_cannot_be_wanted(count: int) -> None:
    with pytest.raises(PermanentFailure, match="needs cases"):
        cases_of(histories(7), count=count)


def test_fewer_cases_than_wanted_are_all_given() -> None:
    one = {"SIM000": histories(7)["SIM000"][:100]}
    assert len(cases_of(one, count=1_000)) == len(cases_of(one, count=6)) <= 6


# Roles


def test_the_rules_of_the_probes_answer_without_memory() -> None:
    assert trend(asked([10.0, 11.0, 12.0])).direction == "up"
    assert trend(asked([12.0, 11.0, 10.0])).direction == "down"
    question = RecallQuestion(symbol="AAPL", session=date(2012, 3, 1), horizon_sessions=10)
    assert no_memory(question) == Recall(direction="unknown", confidence=0.0)
    assert (TREND_PROBE.output, RECALL_PROBE.output) == (Call, Recall)


@pytest.mark.parametrize(
    "wrong",
    [
        {"closes": (1.0,)},
        {"closes": (1.0, 0.0)},
        {"closes": (1.0, float("nan"))},
        {"closes": (1.0,) * 253},
        {"horizon_sessions": 0},
    ],
)
def test_a_question_that_makes_no_sense_cannot_be_made(wrong: dict[str, Any]) -> None:
    good = asked([1.0, 2.0]).model_dump()
    with pytest.raises(ValidationError):
        TrendInputs.model_validate({**good, **wrong})


def test_doubles_have_nothing_to_say_about_other_questions() -> None:
    class Other(BaseModel):
        day: date

    other = Other(day=date(2012, 3, 1))
    assert Memoriser(cases(7)).direction(other) == Reasoner().direction(other) == "unknown"


def test_a_report_in_json_has_every_number_with_its_ends() -> None:
    told = numbers(probe(cases(7), Mixture(cases(7))))
    shares = {name: share for name, share in told.items() if isinstance(share, dict)}
    assert set(shares) == {
        "accuracy_named", "accuracy_masked", "gap", "prediction_consistency", "input_dependency", "consistency_shuffled",
        "follows_prices", "recall_answered", "recall_accuracy",
    }  # fmt: skip
    for share in shares.values():
        low, middle, high = (share[name] for name in ("low", "value", "high"))
        assert isinstance(low, float)
        assert isinstance(middle, float)
        assert isinstance(high, float)
        assert low <= middle <= high
    assert told["cases"] == told["answered"] == 200
    assert told["verdict"] == "mixed"


def test_consistency_and_dependency_are_two_sides_of_one_number() -> None:
    report: LeakReport = probe(cases(7), Mixture(cases(7)))
    assert value(report.unchanged) + value(report.input_dependency) == pytest.approx(1.0)


@given(st.integers(0, 60), st.sampled_from(["up", "down"]))
@settings(max_examples=20, deadline=None)
def test_no_share_of_memory_below_a_tenth_is_called_memorising(known: int, otherwise: str) -> None:
    """Whatever else it does, who remembers few of the cases is never said to live on memory alone."""
    world = cases(7, 60)
    remembered = Memoriser([Case(case.inputs, case.outcome) for case in world[: known // 10]])

    class Partly(Fixed):
        def __call__(self, role: Role[In, Out], inputs: In) -> Out | None:
            said: str = otherwise if isinstance(inputs, TrendInputs) else remembered.direction(inputs)
            return role.output.model_validate({"direction": said, "confidence": 0.5})

    verdict: Verdict = probe(world, one_by_one(Partly(otherwise))).verdict
    assert verdict == "cannot tell"
