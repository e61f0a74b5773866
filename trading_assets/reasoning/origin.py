"""Where a word came from: the four columns that every table of opinions ends with."""

from typing import Any

from trading_assets.core.tables import Column
from trading_assets.reasoning.model import Answer

ORIGIN = (
    Column("route", "text", "Who reasoned: rules, or a model's route."),
    Column("model", "text", "The model; empty for rules."),
    Column("leakage", "text", "Could the model know what came later: clean, contaminated or unknown."),
    Column("answer_key", "text", "The recorded answer in the ledger, with its cost; empty for rules."),
)


def origin_of(answer: Answer[Any]) -> dict[str, Any]:
    """Who gave an answer, as the fields that every opinion carries."""
    return {
        "route": answer.route,
        "model": answer.model,
        "leakage": answer.leakage,
        "answer_key": answer.key,
    }
