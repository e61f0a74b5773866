"""What decisions rest on: labels are never mixed, never guessed, and carried as far as they reach."""

from datetime import date
from itertools import product

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import day, positions
from tests.evaluation.measured import entry, said, theses, thesis_row
from trading_assets.evaluation.evidence import Decided, Paid, decision_evidence, label_of, worst_evidence
from trading_assets.evaluation.model import DECISION_EVIDENCE, EVIDENCE, Evidence
from trading_assets.reasoning.leakage import worst

RULED = ("rules", "", "clean")
CLEAN = ("haiku", "haiku-4", "clean")
UNKNOWN = ("local", "mystery", "unknown")
LEAKED = ("opus", "opus-5", "contaminated")
NO_THESES, NO_VOTES = theses(), said(slot="09:30")


def decided(*numbers: int, slot: str = "09:30", state: str = "ACTIVE") -> list[Decided]:
    return [Decided(day(number), slot, state, 1, 0) for number in numbers]


def evidence(
    slots: list[Decided],
    *opinions: tuple[int, str, str, str],
    votes: pl.DataFrame = NO_VOTES,
    minds: pl.DataFrame = NO_THESES,
    held: pl.DataFrame | None = None,
    paid: dict[tuple[date, str], Paid] | None = None,
) -> pl.DataFrame:
    frame = positions() if held is None else held
    return decision_evidence(slots, [said(*opinions), said()], votes, minds, frame, paid or {})


@pytest.mark.parametrize(
    ("origins", "label"),
    [
        ([], "rules"),
        ([RULED], "rules"),
        ([RULED, CLEAN], "clean"),
        ([CLEAN, UNKNOWN], "unknown"),
        ([CLEAN, UNKNOWN, LEAKED, RULED], "contaminated"),
        ([("haiku", "haiku-4", "")], "unknown"),
        ([("haiku", "haiku-4", "spotless")], "unknown"),
    ],
)
def test_the_worst_of_what_a_decision_could_rest_on_is_its_label(
    origins: list[tuple[str, str, str]], label: str
) -> None:
    found = evidence(decided(1), *((1, *origin) for origin in origins))
    assert found["evidence"].to_list() == [label]
    assert dict(found.schema) == dict(DECISION_EVIDENCE.polars_schema())


def test_models_that_had_a_part_are_named() -> None:
    votes = said((1, *LEAKED), slot="09:30")
    assert evidence(decided(1), (1, *CLEAN), (1, *RULED), votes=votes)["models"].to_list() == ["haiku-4,opus-5"]


def test_votes_count_in_their_slot_and_opinions_in_every_slot_of_their_session() -> None:
    slots = [*decided(1), *decided(1, slot="10:00"), *decided(2)]
    found = evidence(slots, (2, *UNKNOWN), votes=said((1, *LEAKED), slot="10:00"))
    assert found["evidence"].to_list() == ["rules", "contaminated", "unknown"]


def test_a_slot_in_which_nobody_thought_rests_on_nothing() -> None:
    assert evidence(decided(1, state="IDLE"), (1, *LEAKED))["evidence"].to_list() == ["rules"]


def test_a_thesis_carries_the_label_of_the_session_that_formed_it() -> None:
    old = thesis_row(entry(3), {"technical": 1.0}, formed=day(1))
    found = evidence(decided(1, 2, 3), (1, *LEAKED), minds=theses(old))
    assert found["evidence"].to_list() == ["contaminated", "rules", "contaminated"]


def test_a_thesis_that_a_model_wrote_is_no_work_of_the_rules() -> None:
    written = thesis_row(entry(1), {"technical": 1.0}, author="haiku")
    assert evidence(decided(1), (1, *CLEAN), minds=theses(written))["evidence"].to_list() == ["unknown"]


def test_the_book_carries_the_label_of_what_it_holds_until_it_is_sold() -> None:
    """Bought on a contaminated day 1, held at the closes of 1 and 2, sold on 3: day 3 still earns by it, day 4 does not."""
    found = evidence(decided(1, 2, 3, 4), (1, *LEAKED), held=positions((1, 10, 100), (2, 10, 101)))
    assert found["evidence"].to_list() == ["contaminated", "rules", "rules", "rules"]
    assert found["book_evidence"].to_list() == ["contaminated", "contaminated", "contaminated", "rules"]


def test_a_position_bought_anew_begins_anew() -> None:
    found = evidence(decided(1, 2, 3, 4), (1, *LEAKED), held=positions((1, 10, 100), (3, 10, 101)))
    assert found["book_evidence"].to_list() == ["contaminated", "contaminated", "rules", "rules"]


def test_what_models_were_paid_stands_with_the_decision_and_the_critic_has_its_own_row() -> None:
    paid = {(day(1), "09:30"): Paid(4, 0.0123456789), (day(1), "close"): Paid(1, 0.002)}
    found = evidence(decided(1), (1, *CLEAN), paid=paid).rows(named=True)
    assert [(row["slot"], row["state"], row["evidence"], row["calls"], row["model_cost"]) for row in found] == [
        ("09:30", "ACTIVE", "clean", 4, 0.012345679),
        ("close", "AFTER_CLOSE", "unknown", 1, 0.002),
    ]
    assert {row["book_evidence"] for row in found} == {"clean"}


def test_nothing_decided_is_no_row() -> None:
    assert evidence([], (1, *LEAKED)).height == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(EVIDENCE), max_size=6), st.sampled_from(EVIDENCE))
def test_more_evidence_never_makes_a_label_better(labels: list[Evidence], another: Evidence) -> None:
    before, after = worst_evidence(labels), worst_evidence([*labels, another])
    assert EVIDENCE.index(after) >= EVIDENCE.index(before)
    assert worst_evidence(labels[::-1]) == before


def test_labels_of_models_have_the_order_of_the_reasoning_room() -> None:
    for one, other in product(("clean", "unknown", "contaminated"), repeat=2):
        assert worst_evidence([label_of("m", one), label_of("m", other)]) == worst([one, other])  # type: ignore[list-item] # Leakage
