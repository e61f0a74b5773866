"""The model registry: every model that settings name is on record with a source, and nothing on record lies in the future."""

from calendar import monthrange
from datetime import date
from pathlib import Path

import pytest
import yaml

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import PROJECT
from trading_assets.reasoning.registry import KnownModel, ModelRegistry
from trading_assets.reasoning.settings import load_reasoning

COMMITTED = PROJECT / "config" / "models.yaml"
GOOD = "{provider: openai, cutoff: 2025-01-31, source: vendor's model page, read_on: 2026-11-20}"


@pytest.fixture(scope="module")
def registry() -> ModelRegistry:
    return ModelRegistry.load(COMMITTED)


def written(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text)
    return path


def one(folder: Path, **changed: object) -> ModelRegistry:
    row = {"provider": "openai", "cutoff": "2025-01-31", "source": "vendor's model page", "read_on": "2026-11-20"}
    kept = {key: value for key, value in {**row, **changed}.items() if value != "absent"}
    return ModelRegistry.load(written(folder, yaml.safe_dump({"models": {"m-1": kept}}).replace("'", '"')))


def test_each_model_that_the_settings_name_is_listed(registry: ModelRegistry) -> None:
    routes = load_reasoning(PROJECT / "config").routes
    named = {model for route in routes for model in route.models.values()}
    assert len(named) >= 6
    assert named - registry.models.keys() == set()


def test_a_provider_in_the_registry_is_that_of_the_route(registry: ModelRegistry) -> None:
    of_route = {"claude-cli": "anthropic", "codex-cli": "openai", "gemini": "google"}
    for route in load_reasoning(PROJECT / "config").routes:
        providers = {registry.models[model].provider for model in route.models.values()}
        assert providers == {of_route.get(route.name, route.name)}


def test_no_cutoff_lies_after_the_day_on_which_it_was_read(registry: ModelRegistry) -> None:
    for known in registry.models.values():
        days = [day for day in (known.cutoff, known.trained_through) if day is not None]
        assert all(day < known.read_on for day in days)
        assert all(day.day == monthrange(day.year, day.month)[1] for day in days)


def test_training_data_that_runs_later_than_reliable_knowledge_counts(registry: ModelRegistry) -> None:
    haiku = registry.models["claude-haiku-4-5"]
    assert (haiku.cutoff, haiku.trained_through) == (date(2025, 2, 28), date(2025, 7, 31))
    assert registry.cutoff("claude-haiku-4-5") == date(2025, 7, 31)


def test_training_data_that_ends_earlier_changes_nothing(tmp_path: Path) -> None:
    assert one(tmp_path, trained_through="2024-12-31").cutoff("m-1") == date(2025, 1, 31)


@pytest.mark.parametrize(
    "model", ["", "rules", "gpt-9", "claude-haiku-4-5-20251001", "CLAUDE-HAIKU-4-5", "claude-haiku"]
)
def test_a_model_that_is_not_listed_under_exactly_this_name_is_unknown(registry: ModelRegistry, model: str) -> None:
    assert registry.cutoff(model) is None


def test_a_name_that_its_vendor_answers_with_another_model_is_unknown(registry: ModelRegistry) -> None:
    assert registry.models["gemini-3.5-flash"].cutoff is None


def test_a_model_without_a_statement_of_its_vendor_is_unknown(registry: ModelRegistry) -> None:
    assert registry.cutoff("gpt-6-luna") is None
    assert "no vendor statement" in registry.models["gpt-6-luna"].source


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"cutoff": "2025-01-30"}, "not the last day of its month"),
        ({"trained_through": "2025-02-27"}, "not the last day of its month"),
        ({"cutoff": "2026-11-30"}, "not before the day on which it was read"),
        ({"trained_through": "2027-01-31"}, "not before the day on which it was read"),
        ({"cutoff": None, "trained_through": "2025-01-31"}, "needs a cutoff beside it"),
        ({"cutoff": "January 2025"}, "cutoff"),
        ({"cutoff": "absent"}, "cutoff: Field required"),
        ({"source": "absent"}, "source: Field required"),
        ({"source": "blog"}, "at least 10"),
        ({"read_on": "absent"}, "read_on: Field required"),
        ({"provider": "acme"}, "provider"),
        ({"context": 5}, "context"),
    ],
)
def test_a_wrong_row_is_refused_by_name(tmp_path: Path, changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        one(tmp_path, **changed)


@pytest.mark.parametrize(
    "text",
    [
        "models: {}",
        "",
        f"models: {{m-1: {GOOD}}}\nother: 1",
        f"models:\n  m-1: {GOOD}\n  m-1: {GOOD}",
        f"models: {{'M 1': {GOOD}}}",
        "models: [m-1]",
    ],
)
def test_a_file_that_says_nothing_or_anything_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        ModelRegistry.load(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere.yaml"):
        ModelRegistry.load(tmp_path / "nowhere.yaml")


def test_what_a_model_may_have_seen_is_unknown_without_a_cutoff() -> None:
    known = KnownModel(provider="google", cutoff=None, source="no vendor statement found", read_on=date(2026, 11, 20))
    assert known.knows_until is None
