"""What the tests of the metrics share: dbt runs once for each kind of book."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from resources.metrics import (
    CheckRun,
    MetricsRun,
)
from tests.evaluation.books import (
    tiny,
)
from tests.resources.metrics.built import Lane, broken_book, built, measured_of


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all lanes of this folder."""
    return tmp_path_factory.mktemp("lanes")


@pytest.fixture(scope="package")
def clean(target: Path) -> tuple[Lane, MetricsRun]:
    return built(target, "clean", tiny(), **measured_of(tiny()))


@pytest.fixture(scope="package")
def broken(target: Path) -> Mapping[str, CheckRun]:
    _, run = built(target, "broken", broken_book())
    return {check.name: check for check in run.failed}
