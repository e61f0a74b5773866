"""The one Dagster resource that assets, sensors and schedules reach the outside world through.

Everything heavy is opened when it is asked for: loading the code location imports no data library.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from resources.clock import FixedClock, RealClock, desk_clock
from trading_assets.core.calendar import NEW_YORK, Session
from trading_assets.core.journal import Json
from trading_assets.core.learning import LearningSettings, load_learning, refuse_automatic_live
from trading_assets.core.operations import OperationsSettings, load_operations
from trading_assets.core.parameters import Tuned, load_parameters
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import load_preferences
from trading_assets.core.settings import Home, Settings, config_folder, desk_home, load_settings
from trading_assets.market.universe.listings import check_lives

if TYPE_CHECKING:
    from dagster_duckdb import DuckDBResource
    from sqlalchemy import Engine

    from resources.lake import ParquetLake
    from resources.ledger.engine import Durability
    from resources.ledger.journal_files import JournalFiles
    from resources.ledger.proposals import SqlProposals
    from resources.ledger.store import SqlGateBook, SqlLedger
    from resources.llm.batches import Batches
    from resources.llm.reasoner import DeskReasoner
    from trading_assets.briefs.facts import Facts
    from trading_assets.broker.settings import ExecutionSettings
    from trading_assets.execution.rules import Rules
    from trading_assets.execution.sealing import ToSeal
    from trading_assets.market.ports import MarketData
    from trading_assets.reasoning.model import Budget
    from trading_assets.reasoning.settings import ReasoningSettings
    from trading_assets.reasoning.skills import SkillShelf

DESK = "desk"
BACKTEST = "backtest"
LANES = (DESK, BACKTEST)
LEDGER_URL = "LEDGER_URL"
_LEDGERS_OPEN_MAX = 8


class DeskResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings, clock, lake, ledger and market data of the desk in `DESK_HOME`."""

    def home(self) -> Home:
        """Where the desk keeps its state."""
        return desk_home()

    def settings(self) -> Settings:
        """`config/settings.yaml`, its grace stretched on a fast replay; two instruments that own one ticker at once stop it."""
        from resources.stretching import stretched_settings

        settings = load_settings(config_folder())
        check_lives(settings.market.instruments)
        return stretched_settings(settings, self._pace)

    def clock(self) -> Clock:
        """The clock of the desk lane."""
        return desk_clock()

    def lake(self) -> ParquetLake:
        """Facts and results."""
        from resources.lake import ParquetLake

        return ParquetLake(self.home().lake)

    def gates(self) -> SqlGateBook:
        """Quality verdicts; facts have no lane, so they are kept in the desk's ledger."""
        from resources.ledger.store import SqlGateBook

        return SqlGateBook(self.engine(DESK))

    def ledger(self, lane: str) -> SqlLedger:
        """The ledger of a lane; the desk's own journal is also written as files, a backtest's on demand."""
        from resources.ledger.store import SqlLedger

        if lane != DESK:
            return SqlLedger(self.engine(lane), lane)
        clock = self.clock() if self.execution().dispatches else None
        return SqlLedger(self.engine(lane), lane, self.journal_files(lane), dispatch_clock=clock)

    def note_parameters(self, lane: str) -> int:
        """Records what changed in the configuration since the lane last ran, and returns how many settings did."""
        rules = self.rules(lane)
        now: dict[str, object] = {
            "settings": rules.settings.model_dump(mode="json"),
            "preferences": rules.preferences.model_dump(mode="json"),
            "reasoning": self.reasoning().model_dump(mode="json"),
            "parameters": rules.tuned.base.model_dump(mode="json"),
            "skills": {name: skill.hash for name, skill in self.skills().take().items()},
        }
        with self.ledger(lane).session() as ledger:
            reason = "found changed at the start of a decision"
            return ledger.note_parameters(now, origin="files", reason=reason, as_of=self.clock().now())

    def note_evaluation(self, lane: str, session: date, measures: Mapping[str, float]) -> None:
        """Keeps the measures of a book as of a session in its ledger."""
        from resources.ledger.records import Evaluations

        told: dict[str, Json] = dict(measures)
        Evaluations(self.engine(lane)).record(lane, session, told, as_of=self.clock().now())

    def journal_files(self, lane: str) -> JournalFiles:
        """The journal as a person reads it: one markdown file for each entry."""
        from resources.ledger.journal_files import JournalFiles

        return JournalFiles(self.home().journal(lane))

    def execution(self) -> ExecutionSettings:
        """`config/execution.yaml`, what bounds the machine stretched on a fast replay."""
        from resources.stretching import stretched_execution
        from trading_assets.broker.settings import load_execution

        return stretched_execution(load_execution(config_folder()), self._pace)

    @property
    def _pace(self) -> float:
        """How much faster than the machine the desk's clock runs; only a replay does. Refused in mode live."""
        from resources.stretching import pace_of
        from trading_assets.broker.settings import load_execution

        clock = self.clock()
        return 1.0 if isinstance(clock, RealClock | FixedClock) else pace_of(clock, load_execution(config_folder()))

    def operations(self) -> OperationsSettings:
        """`config/operations.yaml`."""
        return load_operations(config_folder())

    def learning(self) -> LearningSettings:
        """`config/learning.yaml`."""
        return load_learning(config_folder())

    def reasoning(self) -> ReasoningSettings:
        """`config/reasoning.yaml`."""
        from trading_assets.reasoning.settings import load_reasoning

        return load_reasoning(config_folder())

    def skills(self) -> SkillShelf:
        """The folders in `skills/`, with the doctrine that every agent reads."""
        from trading_assets.agents import DOCTRINE, SCHEMAS, SKILLS
        from trading_assets.reasoning.skills import SkillShelf

        return SkillShelf(SKILLS, DOCTRINE, schemas=SCHEMAS)

    def reasoner(self) -> DeskReasoner:
        """Asks models, or the rules; to be closed. Money is spent in real time, whatever DESK_CLOCK says."""
        from resources.llm.reasoner import open_reasoner
        from trading_assets.reasoning.registry import ModelRegistry

        return open_reasoner(
            self.reasoning(),
            engine=lambda: self.engine(DESK),
            shelf=self.skills(),
            registry=ModelRegistry.load(config_folder() / "models.yaml"),
            environment=os.environ,
            clock=RealClock(),
        )

    def batches(self) -> Batches:
        """Questions about the past at half price, handed in now and collected later."""
        from resources.llm.batches import Batches
        from resources.llm.routes import open_routes

        return Batches(self.engine(DESK), open_routes(self.reasoning(), os.environ))

    def budgets(self, lane: str, *, run: str) -> Callable[[Session, str], Budget]:
        """For each session and slot, what may be spent on it: from the day's pocket, or from that of the run over the past."""
        from trading_assets.reasoning.budgets import backfill_budget, desk_budget

        limits, today = self.reasoning().budget, RealClock().now().astimezone(NEW_YORK).date()

        def budget_of(session: Session, label: str) -> Budget:
            decision = f"{lane}/{session.key}/{label}"
            if lane == DESK:
                return desk_budget(limits, decision=decision, day=today)
            return backfill_budget(limits, decision=decision, day=today, backfill=run)

        return budget_of

    def standing(self) -> str:
        """Why the desk may open nothing now: a halt file, no gateway or watchdog alive, or what they say; empty when it may."""
        from resources.standing import standing_of

        return standing_of(self.engine(DESK), self.home().root, self.execution(), now=self.clock().now())

    def seal(self, approved: Sequence[ToSeal]) -> None:
        """Puts the three signatures on what a decision of the desk approved."""
        from resources.keys import KeyRing
        from resources.ledger.dispatch import SqlDispatch
        from resources.sealing import Sealing
        from trading_assets.briefs.facts import FactBook
        from trading_assets.core.ports import Span

        store = SqlDispatch(self.engine(DESK), DESK, self.journal_files(DESK))

        def facts_at(moment: datetime) -> Facts:
            day = moment.astimezone(NEW_YORK).date()
            return FactBook.load(self.lake(), Span(day, day), as_of=moment).at(moment)

        def held() -> Mapping[str, int] | None:
            told = store.snapshot()
            return None if told is None else {each.symbol: int(each.quantity) for each in told.positions}

        valid = timedelta(seconds=self.execution().rhythm.signature_seconds)
        Sealing(store, KeyRing(self.home()), facts_at, held, self.clock(), valid).seal(approved)

    def rules(self, lane: str, *, as_desk: bool = False) -> Rules:
        """Settings, limits and parameters that stay fixed for a run of the lane.

        A backtest runs by the configured parameters, or `as_desk` by those that were in force on the desk session by session.

        Raises:
            ConfigurationError: parameters would be moved without the operator, in mode live.
        """
        from trading_assets.briefs.settings import load_agents
        from trading_assets.execution.rules import Rules

        preferences, limits_hash = load_preferences(config_folder() / "preferences.yaml")
        agents = load_agents(config_folder())
        execution, tuned = self.execution(), self.tuned(DESK if as_desk else lane)
        if lane == DESK:
            refuse_automatic_live(self.learning(), execution.mode)
        return Rules(lane, self.settings(), preferences, limits_hash, agents, execution, tuned)

    def tuned(self, lane: str) -> Tuned:
        """The lane's parameters over time: as configured, on the desk with what was approved since and what experiments try."""
        base, ledger = load_parameters(config_folder()), self.ledger_at(lane)
        if lane != DESK or (isinstance(ledger, Path) and not ledger.exists()):
            return Tuned(base)
        from resources.ledger.proposals import tuned_of

        return tuned_of(self.engine(DESK), DESK, base)

    def proposals(self) -> SqlProposals:
        """Proposed parameters of the desk, the answers to them, and what changed by them."""
        from resources.ledger.proposals import SqlProposals

        return SqlProposals(self.engine(DESK), DESK, load_parameters(config_folder()), self.journal_files(DESK))

    def market_data(
        self, provider: str | None = None, files_path: str | None = None, seed: int | None = None
    ) -> MarketData:
        """The provider of the settings with its fallbacks, or the one named without any."""
        from resources.market_data import sources_of

        return sources_of(
            self.settings().market,
            provider=provider,
            files_path=files_path,
            seed=seed,
            as_of=self.clock().now(),
            cache=self.home().root / "cache",
        )

    def warehouse(self, lane: str) -> DuckDBResource:
        """The lane's DuckDB file with the dbt models; one step at a time may open it."""
        from dagster_duckdb import DuckDBResource

        return DuckDBResource(database=str(self.home().warehouse / f"{lane}.duckdb"))

    def engine(self, lane: str) -> Engine:
        """The lane's ledger; money is synced in full on the desk, a backtest can be walked again."""
        return _opened(self.ledger_at(lane), lane, "FULL" if lane == DESK else "NORMAL")

    def ledger_at(self, lane: str) -> Path | str:
        """The lane's file, or the server that `LEDGER_URL` names."""
        return os.environ.get(LEDGER_URL) or self.home().ledger(lane)


@lru_cache(_LEDGERS_OPEN_MAX)
def _opened(where: Path | str, lane: str, durability: Durability) -> Engine:
    """One engine for each ledger of the process: it keeps its connections."""
    from resources.ledger.engine import open_ledger

    return open_ledger(where, durability=durability, lane=lane)
