"""Labels: clean only far enough after everything that any model may have seen, and nothing unknown is ever clean."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT
from trading_assets.reasoning.leakage import MARGIN, label, worst
from trading_assets.reasoning.model import Leakage
from trading_assets.reasoning.registry import KnownModel, ModelRegistry

READ = date(2026, 11, 20)
CUTOFFS = {"old": date(2024, 9, 30), "new": date(2026, 6, 30), "dark": None}
LABELS: tuple[Leakage, ...] = ("clean", "unknown", "contaminated")
MODELS = st.sampled_from(["old", "new", "dark", "rules", "never-heard-of"])
MOMENTS = st.builds(
    lambda days, seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=days, seconds=seconds),
    st.integers(0, 2900),
    st.integers(0, 86_399),
)


def registry() -> ModelRegistry:
    return ModelRegistry(
        models={
            name: KnownModel(provider="openai", cutoff=cutoff, source="made for a test", read_on=READ)
            for name, cutoff in CUTOFFS.items()
        }
    )


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def labelled(day: date, *models: str) -> Leakage:
    return label(models, as_of=noon(day), registry=registry())


def test_sixty_days_after_the_cutoff_are_not_yet_clean_and_the_next_is() -> None:
    cutoff = date(2024, 9, 30)
    assert labelled(cutoff, "old") == "contaminated"
    assert labelled(cutoff + timedelta(days=60), "old") == "contaminated"
    assert labelled(cutoff + timedelta(days=61), "old") == "clean"


def test_the_newest_of_several_models_decides() -> None:
    assert labelled(date(2025, 6, 2), "old") == "clean"
    assert labelled(date(2025, 6, 2), "old", "new") == "contaminated"
    assert labelled(date(2026, 9, 15), "old", "new") == "clean"


def test_an_unknown_cutoff_is_never_clean() -> None:
    far = date(2028, 12, 29)
    assert labelled(far, "dark") == labelled(far, "never-heard-of") == labelled(far, "new", "dark") == "unknown"


def test_what_is_certain_outweighs_what_is_unknown() -> None:
    assert labelled(date(2020, 1, 2), "dark", "new") == "contaminated"


def test_the_rules_are_clean_at_any_time_and_excuse_nobody_else() -> None:
    assert labelled(date(2012, 3, 1), "rules") == "clean"
    assert labelled(date(2012, 3, 1), "rules", "old") == "contaminated"
    assert labelled(date(2012, 3, 1), "rules", "dark") == "unknown"


def test_nobody_cannot_be_labelled() -> None:
    with pytest.raises(PermanentFailure, match="nothing cannot be labelled"):
        labelled(date(2012, 3, 1))
    with pytest.raises(PermanentFailure):
        worst([])


def test_a_moment_needs_a_time_zone() -> None:
    with pytest.raises(PermanentFailure, match="time zone"):
        label(["rules"], as_of=datetime(2026, 1, 2, 12), registry=registry())  # noqa: DTZ001


def test_the_day_is_that_of_utc_wherever_the_moment_was_written() -> None:
    tokyo = datetime(2024, 11, 30, 8, tzinfo=timezone(timedelta(hours=9)))
    assert tokyo.date() - MARGIN > date(2024, 9, 30)
    assert label(["old"], as_of=tokyo, registry=registry()) == "contaminated"


@given(MOMENTS, st.lists(MODELS, min_size=1, max_size=4), st.lists(MODELS, min_size=1, max_size=4))
def test_a_joint_answer_is_labelled_as_the_worst_of_its_parts(
    as_of: datetime, first: list[str], second: list[str]
) -> None:
    own = registry()
    parts = [label(models, as_of=as_of, registry=own) for models in (first, second)]
    assert label([*first, *second], as_of=as_of, registry=own) == worst(parts)


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=6))
def test_one_answer_that_is_not_clean_makes_the_whole_not_clean(labels: list[Leakage]) -> None:
    assert (worst(labels) == "clean") == (set(labels) == {"clean"})
    assert ("contaminated" in labels) == (worst(labels) == "contaminated")


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=900)), MODELS)
def test_time_only_ever_cleans(as_of: datetime, later: timedelta, model: str) -> None:
    own = registry()
    if label([model], as_of=as_of, registry=own) == "clean":
        assert label([model], as_of=as_of + later, registry=own) == "clean"


def test_the_desks_own_models_are_not_clean_for_the_embedded_years() -> None:
    committed = ModelRegistry.load(PROJECT / "config" / "models.yaml")
    labels = {label([model], as_of=noon(date(2012, 6, 1)), registry=committed) for model in committed.models}
    assert labels == {"contaminated", "unknown"}
