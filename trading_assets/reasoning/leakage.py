"""Could the models behind an answer know what came after it? Clean, contaminated or unknown, on every answer [A12]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from trading_assets.core.errors import PermanentFailure
from trading_assets.reasoning.model import Leakage
from trading_assets.reasoning.registry import ModelRegistry

RULES = "rules"
MARGIN = timedelta(days=60)
# A certain leak outweighs a possible one; neither ever counts as clean.
_ORDER: tuple[Leakage, ...] = ("clean", "unknown", "contaminated")


def label(models: Sequence[str], *, as_of: datetime, registry: ModelRegistry) -> Leakage:
    """The label of an answer that these models made of inputs of the moment `as_of`.

    Clean when that moment lies more than 60 days after the last day that any of them may have seen, contaminated when it does not
    for one of them, unknown otherwise. The rules see nothing but their inputs and are clean.

    Args:
        models: Every model that had a part, names as in the registry; "rules" for the deterministic members.
        as_of: The moment that the inputs describe, with a time zone.
        registry: Who knows what.

    Raises:
        PermanentFailure: No model is named, or `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise PermanentFailure("a label needs a moment with a time zone", value=as_of)
    return worst(_label_of(model, as_of, registry) for model in models)


def worst(labels: Iterable[Leakage]) -> Leakage:
    """The label of what was made from several labelled answers; of none, it is refused."""
    ranks = [_ORDER.index(one) for one in labels]
    if not ranks:
        raise PermanentFailure("nothing cannot be labelled", hint="name the models, or 'rules'")
    return _ORDER[max(ranks)]


def _label_of(model: str, as_of: datetime, registry: ModelRegistry) -> Leakage:
    if model == RULES:
        return "clean"
    cutoff = registry.cutoff(model)
    if cutoff is None:
        return "unknown"
    return "clean" if as_of.astimezone(UTC).date() > cutoff + MARGIN else "contaminated"
