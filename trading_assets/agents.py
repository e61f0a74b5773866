"""Where the skills stand, and the types that they may name. A new agent is a folder under `skills/` that names two of them."""

from collections.abc import Mapping

from pydantic import BaseModel

from trading_assets.briefs.roles import BreadthInputs, NewsInputs, Opinion, TechnicalInputs
from trading_assets.core.settings import PROJECT
from trading_assets.reasoning.probes import Call, Recall, RecallQuestion, TrendInputs

SKILLS = PROJECT / "skills"
DOCTRINE = PROJECT / "context" / "philosophy.md"
SCHEMAS: Mapping[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        *(TechnicalInputs, BreadthInputs, NewsInputs, Opinion),
        *(RecallQuestion, Recall, TrendInputs, Call),
    )
}
