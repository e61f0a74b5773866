"""Where the skills stand, and the types that they may name. A new agent is a folder under `skills/` that names two of them."""

from collections.abc import Mapping

from pydantic import BaseModel

from trading_assets.briefs.narratives.roles import NarrativeCall, NarrativeInputs
from trading_assets.briefs.roles import BreadthInputs, MacroInputs, NewsInputs, Opinion, TechnicalInputs
from trading_assets.core.settings import PROJECT
from trading_assets.evaluation.proposals_optimizer import OptimizerInputs, Picks
from trading_assets.execution.adaptor.roles import AdaptorInputs, Advice
from trading_assets.plans.choosing import Choice, TraderInputs
from trading_assets.plans.guide import GuideAnswer, GuideInputs
from trading_assets.plans.personas import PersonaInputs, Votes
from trading_assets.reasoning.probes import Call, Recall, RecallQuestion, TrendInputs
from trading_assets.signatures.double_checker import SecondInputs, SecondOpinion
from trading_assets.theses.council_evidence import DebateInputs
from trading_assets.theses.debate import Arguments
from trading_assets.theses.memory.critic import CriticInputs, Critique
from trading_assets.theses.stance import ChiefInputs, DayStance
from trading_assets.theses.strategist import StrategistInputs, ThesisUpdates

SKILLS = PROJECT / "skills"
DOCTRINE = PROJECT / "context" / "philosophy.md"
SCHEMAS: Mapping[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        *(TechnicalInputs, BreadthInputs, NewsInputs, MacroInputs, Opinion),
        *(NarrativeInputs, NarrativeCall),
        *(RecallQuestion, Recall, TrendInputs, Call),
        *(GuideInputs, GuideAnswer),
        *(DebateInputs, Arguments, ChiefInputs, DayStance, StrategistInputs, ThesisUpdates),
        *(TraderInputs, Choice, PersonaInputs, Votes),
        *(CriticInputs, Critique),
        *(SecondInputs, SecondOpinion),
        *(AdaptorInputs, Advice),
        *(OptimizerInputs, Picks),
    )
}
