"""The narrative analyst as a role: headlines with what code has counted, and the judgement that is asked for."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trading_assets.briefs.narratives.model import Edge, Stage
from trading_assets.briefs.roles import SENTENCE_MAX, Headline, ReadingId, Sentence
from trading_assets.reasoning.marks import Mark


class NarrativeInputs(BaseModel):
    """What has been told of one symbol in the last ten sessions, oldest first, and what code counts in it.

    `recent` are the headlines of the last three sessions, `earlier` those of the seven before; `newest_age` counts sessions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    symbol: Annotated[str, Mark.SYMBOL]
    session: date
    headlines: Annotated[tuple[Headline, ...], Field(min_length=1)]
    recent: Annotated[int, Field(ge=0)]
    earlier: Annotated[int, Field(ge=0)]
    newest_age: Annotated[int, Field(ge=0)]
    publishers: Annotated[int, Field(ge=1)]
    velocity: Annotated[float, Field(ge=-1, le=1)]
    source_diversity: Annotated[float, Field(ge=0, le=1)]
    stage_by_count: Stage

    @property
    def ids(self) -> frozenset[str]:
        """Everything that may be cited."""
        return frozenset(headline.id for headline in self.headlines)


class NarrativeCall(BaseModel):
    """The narrative analyst's answer: what is told, what speaks against it, how far it has gone, and what is left to gain."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    story: Sentence
    counter_story: Annotated[str, Field(max_length=SENTENCE_MAX)]
    stage: Stage
    direction: Annotated[float, Field(ge=-1, le=1)]
    consensus: Annotated[float, Field(ge=0, le=1)]
    edge: Edge
    evidence: Annotated[tuple[ReadingId, ...], Field(min_length=1, max_length=12)]
