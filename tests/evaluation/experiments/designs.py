"""Drafts, designs and made-up results for the tests of experiments."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from trading_assets.core.calendar import XNYS
from trading_assets.core.parameters import Parameters
from trading_assets.evaluation.experiments.assignment import assignment
from trading_assets.evaluation.experiments.designing import design_of, draft_of
from trading_assets.evaluation.experiments.measures import Measured
from trading_assets.evaluation.experiments.model import Design, Draft, Registered

NOW = datetime(2024, 1, 2, 22, 0, tzinfo=UTC)  # after the close of a Tuesday
FIRST = date(2024, 1, 3)
SEED = "5" * 64


def draft(**changed: Any) -> Draft:
    """A wider stop against control, 20 to 40 sessions of each arm at three looks, unless something else is given."""
    given: dict[str, Any] = {
        "id": "wider-stop",
        "hypothesis": "A wider stop loses less to noise",
        "arms": {"wide": {"stop_atr": 2.1}},
        "measure": "session_return_bp",
        "better": "higher",
        "smallest_effect": 8.0,
        "spread": 10.0,
        "sessions_min": 20,
        "sessions_max": 40,
        "looks": 3,
    }
    return draft_of({**given, **changed})


def design(
    *,
    record: Sequence[float] = (),
    registered: Sequence[Registered] = (),
    seed: str = SEED,
    now: datetime = NOW,
    parameters: Parameters | None = None,
    **changed: Any,
) -> Design:
    """The draft, made a design on the evening of NOW."""
    return design_of(
        draft(**changed),
        parameters=parameters or Parameters(),
        record=record,
        registered=registered,
        seed=seed,
        now=now,
        calendar=XNYS,
    )


def noise(made: Design, sessions: int, *, effect: float = 0.0, seed: int = 1, arm: str = "wide") -> dict[date, float]:
    """Results of the first sessions: noise of the design's spread, and an effect in one arm."""
    dealt = list(assignment(made, XNYS).items())[:sessions]
    drawn = np.random.default_rng(seed).standard_normal(sessions) * made.spread
    return {day: float(value) + effect * (name == arm) for (day, name), value in zip(dealt, drawn, strict=True)}


def seen(values: Mapping[date, float]) -> tuple[Measured, date]:
    """Results that are all final, and the last session among them."""
    return Measured(dict(values), max(values)), max(values)
