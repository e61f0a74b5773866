"""A whole decision cycle over eight symbols of the simulated market, with agents that models on loopback answer for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.engine import open_ledger, reading
from resources.ledger.store import SqlLedger
from resources.llm.reasoner import DeskReasoner, open_reasoner
from simulation.market import SimulatedMarket
from tests.execution.world import rules, world_of
from tests.llm.council import answering, by_skill
from tests.llm.server import ModelServer, Script
from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
from trading_assets.briefs.asking import posed_at
from trading_assets.briefs.facts import FactBook
from trading_assets.briefs.questions import roles_at
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Clock, Span
from trading_assets.core.settings import PROJECT, Instrument
from trading_assets.core.slots import Slot, slots_of
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.cycle import SlotResult, decide_slot
from trading_assets.execution.looking import World, look
from trading_assets.execution.opinions import opinions_from
from trading_assets.execution.rules import Rules
from trading_assets.execution.thinking import think
from trading_assets.features.breadth import breadth
from trading_assets.features.correlations import correlations
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS
from trading_assets.market.documents.model import NEWS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.choosing import TRADER
from trading_assets.plans.personas import persona_role
from trading_assets.reasoning.budgets import desk_budget
from trading_assets.reasoning.model import Ask, Budget, Role
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings, load_reasoning
from trading_assets.reasoning.skills import SkillShelf
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.regimes.rules import regime_labels
from trading_assets.signatures.double_checker import DOUBLE_CHECKER
from trading_assets.theses.asking import Thought, ask_opinions
from trading_assets.theses.debate import BEAR, BULL
from trading_assets.theses.stance import CHIEF
from trading_assets.theses.strategist import STRATEGIST

SYMBOLS = tuple(f"SIM{number:03d}" for number in range(8))
SPAN = Span(date(2012, 3, 1), date(2012, 5, 31))
BEFORE_OPEN = timedelta(hours=1)
KEY = "a-key-that-no-provider-gave"
_PAST = timedelta(days=500)


class At:
    """A clock that stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """The moment."""
        return self._moment


@cache
def frames() -> Mapping[str, pl.DataFrame]:
    """The facts of the span."""
    market = SimulatedMarket(7)
    past = Span(SPAN.first - _PAST, SPAN.last)
    bars = market.daily_panel(SYMBOLS, past)
    actions = pl.concat([market.corporate_actions(symbol, past) for symbol in SYMBOLS])
    made = Span(SPAN.first - timedelta(days=30), SPAN.last)
    indicators = indicator_panel(bars, actions, span=made)
    return {
        DAILY_BARS.name: bars.filter(pl.col("session") >= made.first),
        CORPORATE_ACTIONS.name: actions,
        INDICATORS.name: indicators,
        BREADTH.name: breadth(bars, actions, indicators, span=made),
        REGIME_LABELS.name: regime_labels(bars, actions, span=made),
        CORRELATIONS.name: correlations(bars, actions, span=made),
        NEWS.name: market.news(SYMBOLS, made),
    }


@cache
def desk_rules() -> Rules:
    """The project's own rules over the eight symbols."""
    given = rules("desk")
    instruments = tuple(Instrument(symbol=symbol, sector=f"Sector {n % 4}") for n, symbol in enumerate(SYMBOLS))
    market = given.settings.market.model_copy(update={"instruments": instruments, "provider": "simulated"})
    return replace(given, settings=given.settings.model_copy(update={"market": market}))


def roles() -> Mapping[str, Role[Any, Any]]:
    """Every agent of the cycle by skill."""
    analysts = [asked.role for asked in roles_at(desk_rules().agents, None)]
    personas = [persona_role(skill) for skill in desk_rules().agents.personas]
    return by_skill(*analysts, BULL, BEAR, CHIEF, STRATEGIST, TRADER, *personas, DOUBLE_CHECKER)


@cache
def busy_slot() -> Slot:
    """A slot in which the rules find candidates on at least two symbols and plan a trade."""
    world = world_of(frames())
    with TemporaryDirectory(prefix="desk-tests-") as folder:
        for session in XNYS.sessions(SPAN.first, SPAN.last):
            result = decided(world, slot_at(session), book_at(Path(folder) / f"{session.key}.sqlite"))
            if len({row["symbol"] for row in result.vote_rows}) > 1 and result.intents:
                return slot_at(session)
    raise LookupError("the simulated span has no busy slot")


def slot_at(session: Session) -> Slot:
    """The slot at the open."""
    return slots_of(session, ("09:30",))[0]


def book_at(file: Path) -> SqlLedger:
    """A new book."""
    return SqlLedger(open_ledger(file, durability="NORMAL", lane="desk"), "desk")


def decided(world: World, slot: Slot, ledger: SqlLedger) -> SlotResult:
    """The slot decided as the desk does it: looked at and thought about first, then decided in a transaction."""
    with ledger.reading() as looking:
        view = look(slot, world, desk_rules(), looking)
    thoughts = think(view, desk_rules(), world.counsel)
    with ledger.session() as writing:
        return decide_slot(slot, world, desk_rules(), writing, thoughts=thoughts)


@dataclass(frozen=True)
class Cycle:
    """One cycle with models on loopback: `said` before the open, then the decided slot; `engine` is the ledger of its calls,
    `book` the file of its book.
    """

    slot: Slot
    reasoner: DeskReasoner
    engine: sa.Engine
    book: Path

    def budget(self) -> Budget:
        """The one pocket of the whole decision."""
        limits = settings_at(None).budget
        return desk_budget(limits, decision=f"desk/{self.slot.session.key}/09:30", day=self.slot.session.day)

    def other_questions(self) -> list[Ask[Any, Any]]:
        """Single questions of the session before, paid from a pocket of their own."""
        session = XNYS.previous(self.slot.session.day)
        facts = FactBook(frames()).at(session.open - BEFORE_OPEN)
        posed = posed_at({session: facts}, roles_at(desk_rules().agents, None))
        pocket = desk_budget(settings_at(None).budget, decision=f"desk/{session.key}/09:30", day=session.day)
        return [Ask(each.analyst.role, each.question.inputs, pocket, each.question.as_of) for each in posed]

    def opinions(self) -> Thought:
        """Rounds one and two."""
        book = FactBook(frames())
        facts = {self.slot.session: book.at(self.slot.session.open - BEFORE_OPEN)}
        agents = desk_rules().agents
        with self.reasoner.cycle() as skills:
            return ask_opinions(
                self.reasoner,
                facts,
                lambda _: self.budget(),
                agents=agents,
                strategies=desk_rules().settings.decisions.strategies,
                skills=skills,
                within=agents.patience,
            )

    def decide(self, thought: Thought) -> SlotResult:
        """Rounds three and four, and the decision."""
        counsel = Counsel(self.reasoner, lambda _: self.budget(), desk_rules().agents.patience)
        world = world_of(frames())
        said = opinions_from(thought.rows)
        return decided(replace(world, counsel=replace(counsel, said=said)), self.slot, book_at(self.book))

    def calls(self) -> list[dict[str, Any]]:
        """Every model call that was booked."""
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(sa.select(t.MODEL_CALLS)).mappings()]


def settings_at(server: ModelServer | None, **changes: Any) -> ReasoningSettings:
    """The committed reasoning settings with models switched on, at the server's address."""
    given = load_reasoning(PROJECT / "config")
    if server is None:
        return given
    routes = tuple(
        route.model_copy(update={"base_url": server.url("anthropic")})
        for route in given.routes
        if route.name == "anthropic"
    )
    return given.model_copy(update={"mode": "models", "routes": routes, **changes})


@contextmanager
def cycle_at(
    server: ModelServer,
    folder: Path,
    *,
    delay_s: float = 0.0,
    instead: Mapping[str, Script] | None = None,
    **changes: Any,
) -> Iterator[Cycle]:
    """A cycle whose agents the server answers for; the calls are booked in a ledger of their own."""
    server.script("anthropic", answering(roles(), delay_s=delay_s, instead=instead))
    clock: Clock = At(datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
    engine = open_ledger(folder / "calls.sqlite", durability="FULL", lane="desk")
    reasoner = open_reasoner(
        settings_at(server, **changes),
        engine=lambda: engine,
        shelf=SkillShelf(SKILLS, DOCTRINE, schemas=SCHEMAS),
        registry=ModelRegistry.load(PROJECT / "config" / "models.yaml"),
        environment={"ANTHROPIC_API_KEY": KEY},
        clock=clock,
    )
    with reasoner:
        yield Cycle(busy_slot(), reasoner, engine, folder / "book.sqlite")
