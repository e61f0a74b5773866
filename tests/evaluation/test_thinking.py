"""What the report says of the thinking: theses by confidence, sources by their record, personas by what they earned."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.evaluation.books import day
from tests.evaluation.reporting.records import nothing
from tests.theses.graphs import thesis
from tests.theses.lessons import lesson
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.thinking import Thinking, thinking_of
from trading_assets.plans.model import VOTES
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.memory.records import lesson_rows
from trading_assets.theses.model import THESIS_SCORES, Mind

DAY = date(2012, 6, 18)


def scores(*rows: tuple[str, float, bool]) -> pl.DataFrame:
    """Rows of THESIS_SCORES: source, probability, came true."""
    told = [
        {
            "session": DAY,
            "slot": "09:30",
            "thesis_id": f"t{number}",
            "symbol": "AAPL",
            "source": source,
            "regime": "range",
            "probability": said,
            "came_true": true,
            "brier": (said - true) ** 2,
            "knowable_at": XNYS.session(DAY).open,
        }
        for number, (source, said, true) in enumerate(rows)
    ]
    return THESIS_SCORES.frame(told)


def votes(*rows: tuple[str, float, float]) -> pl.DataFrame:
    """Rows of VOTES: persona, vote, weight, in the order in which they were cast."""
    told = [_vote(number, *row) for number, row in enumerate(rows)]
    return VOTES.frame(told)


def _vote(number: int, persona: str, vote: float, weight: float) -> dict[str, Any]:
    return {
        "session": DAY,
        "slot": f"{10 + number}:00",
        "persona": persona,
        "strategy": "pullback",
        "symbol": "AAPL",
        "side": "long",
        "vote": vote,
        "weight": weight,
        "alone": "enter" if vote > 0 else "pass",
        "consensus": 0.2,
        "outcome": "planned",
        "quantity_alone": 10 if vote > 0 else 0,
        "reason": "-",
        "route": "rules",
        "model": "",
        "leakage": "clean",
        "answer_key": "",
        "knowable_at": XNYS.session(DAY).open,
    }


def test_nothing_known_is_an_empty_record_and_the_report_says_so() -> None:
    assert thinking_of(None, None, None, None) == Thinking()
    report = nothing(day(1)).report()
    assert "No thesis lives." in report.markdown
    assert "No thesis has ended confirmed or wrong." in report.markdown
    assert "theses.png" not in report.plots


def test_the_whole_comes_first_then_sources_by_their_brier_score() -> None:
    known = scores(("news", 0.9, False), ("thesis", 0.6, True), ("technical", 0.6, True), ("technical", 0.4, False))
    lines = thinking_of(None, known, None, None).sources
    assert [line.source for line in lines] == ["thesis", "technical", "news"]
    technical = lines[1]
    assert (technical.theses, technical.true_share) == (2, 0.5)
    assert technical.brier == pytest.approx(0.16)
    assert technical.said_mean == pytest.approx(0.5)


def test_a_persona_earns_profit_times_its_vote_and_shows_its_newest_weight() -> None:
    won = lesson(1, earned=0.1, votes={"momentum-persona": 0.5, "macro-persona": -1.0})
    lost = lesson(2, earned=-0.04, votes={"momentum-persona": 1.0, "macro-persona": -0.5})
    told = LESSONS.frame(lesson_rows([won, lost]))
    cast = votes(("momentum-persona", 0.5, 1.0), ("macro-persona", -1.0, 1.0), ("momentum-persona", 1.0, 1.1))
    lines = {line.persona: line for line in thinking_of(None, None, cast, told).personas}
    assert (lines["momentum-persona"].attributed_usd, lines["macro-persona"].attributed_usd) == (
        Decimal(10),
        Decimal(-80),
    )
    assert (lines["momentum-persona"].weight, lines["momentum-persona"].votes) == (1.1, 2)
    assert (lines["momentum-persona"].would_enter, lines["macro-persona"].would_enter) == (2, 0)


def test_a_persona_is_scored_like_any_other_voice() -> None:
    """A vote of 1 says certainly right, -1 certainly wrong; 0.25 is a coin."""
    sure = lesson(1, earned=0.1, votes={"macro-persona": 1.0, "technical-persona": 0.0})
    wrong = lesson(2, earned=-0.1, votes={"macro-persona": 1.0, "technical-persona": 0.0})
    cast = votes(("macro-persona", 1.0, 1.0), ("technical-persona", 0.0, 1.0), ("momentum-persona", 0.2, 1.0))
    lines = thinking_of(None, None, cast, LESSONS.frame(lesson_rows([sure, wrong]))).personas
    assert {line.persona: line.brier for line in lines} == {
        "macro-persona": 0.5,
        "technical-persona": 0.25,
        "momentum-persona": None,
    }


def test_live_theses_stand_by_falling_confidence_and_are_drawn() -> None:
    mind = Mind(theses=(thesis("AAA", confidence=0.55), thesis("BBB", confidence=0.7)))
    report = nothing(day(1)).but(told={"mind": lambda: mind}).report(draws=True)
    assert [line["symbol"] for line in report.data["parts"]["thinking"]["theses"]] == ["BBB", "AAA"]
    assert report.plots["theses.png"].startswith(b"\x89PNG")
    assert "(theses.png)" in report.markdown


def test_the_newest_lessons_are_shown_first_and_the_report_stays_json() -> None:
    told = [lesson(number, number) for number in range(12)]
    report = nothing(max(one.session for one in told)).but(lessons=LESSONS.frame(lesson_rows(told))).report()
    shown = [line["session"] for line in report.data["parts"]["thinking"]["lessons"]]
    assert shown == sorted((str(one.session) for one in told), reverse=True)[:8]
    assert shown[0] in report.markdown
