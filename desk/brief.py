"""`desk brief`: what the analysts say now, of the market and, if asked, of one symbol. Nothing is written to the lake.

The facts are read as of now; doctrine and skills stand first in every prompt and do not change, so that a provider that keeps a
prompt's beginning does not read it anew. Who has not answered after `agent_seconds_max` is left alone, and the rules answer for it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from desk.consult.budgets import next_budget
from desk.consult.reading import printable, told
from desk.output import say, table
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.briefs.settings import load_agents
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import config_folder
from trading_assets.regimes.model import MARKET

if TYPE_CHECKING:
    from trading_assets.briefs.asking import Heard

_HOUR_S = 3600.0
_VALUE_SHOWN = 16


@dataclass(frozen=True)
class FreshBrief:
    """What was said, from which facts, and how long it took, seconds."""

    facts: Facts
    briefs: tuple[Brief, ...]
    narratives: tuple[Narrative, ...]
    silent: tuple[str, ...]
    cost_usd: str
    seconds: float

    @property
    def age_hours(self) -> float:
        """How long the newest bar has been known."""
        known: list[datetime] = [held.bar["knowable_at"] for held in self.facts.symbols.values()]
        return (self.facts.as_of - max(known)).total_seconds() / _HOUR_S


def run_brief(symbol: str, *, as_json: bool) -> None:
    """Asks and prints.

    Raises:
        PermanentFailure: The desk does not trade the symbol.
        DataNotReady: There are no facts, or none of the symbol.
    """
    prepare_home()
    fresh = fresh_brief(DeskResource(), symbol.upper())
    if as_json:
        typer.echo(json.dumps(_document(fresh), ensure_ascii=False))
    else:
        _print(fresh)


def fresh_brief(desk: DeskResource, symbol: str = "") -> FreshBrief:
    """The market's analysts, and those of one symbol if it is not empty, asked side by side about the facts as of now."""
    from trading_assets.briefs.asking import ask_analysts

    begun = time.perf_counter()
    facts = facts_now(desk, symbol)
    agents, budget = load_agents(config_folder()), next_budget(desk, "brief")
    shown = only(facts, symbol)
    session = XNYS.next(XNYS.last_closed(facts.as_of).day)
    with desk.reasoner() as reasoner, reasoner.cycle() as skills:
        heard = ask_analysts(
            reasoner,
            {session: shown},
            lambda _: budget,
            agents=agents,
            skills=skills or desk.skills().take(),
            within=agents.patience,
        )
    return FreshBrief(
        facts=facts,
        briefs=tuple(heard.briefs.get(session, ())),
        narratives=tuple(heard.narratives.get(session, ())),
        silent=_silent(heard),
        cost_usd=f"{heard.cost_usd.normalize():f}",
        seconds=time.perf_counter() - begun,
    )


def facts_now(desk: DeskResource, symbol: str = "") -> Facts:
    """Everything that is knowable now; DataNotReady where there is nothing, or nothing of the symbol."""
    traded = desk.settings().market.symbols
    if symbol and symbol not in traded:
        raise PermanentFailure("the desk does not trade that symbol", value=symbol, bound=", ".join(traded))
    now = desk.clock().now()
    today = now.astimezone(NEW_YORK).date()
    facts = FactBook.load(desk.lake(), Span(today, today), as_of=now).at(now)
    if facts.session is None or (symbol and symbol not in facts.symbols):
        needed = XNYS.last_closed(now).day
        raise DataNotReady(
            f"there are no recent facts{f' of {symbol}' if symbol else ''}",
            value=facts.session,
            bound=needed,
            hint=f"desk ingest --to {needed}, then desk run premarket",
        )
    return facts


def only(facts: Facts, symbol: str) -> Facts:
    """The facts of the market and of one symbol; without one, of the market alone."""
    wanted = {symbol, MARKET}
    return replace(
        facts,
        symbols={name: held for name, held in facts.symbols.items() if name == symbol},
        news={name: rows for name, rows in facts.news.items() if name in wanted},
        correlations=(),
        liquidity={name: row for name, row in facts.liquidity.items() if name == symbol},
        intraday={name: row for name, row in facts.intraday.items() if name == symbol},
    )


def _silent(heard: Heard) -> tuple[str, ...]:
    return tuple(f"{posed.analyst.agent} on {posed.question.symbol}: {why.reason}" for posed, why in heard.abstentions)


def _document(fresh: FreshBrief) -> dict[str, Any]:
    return {
        "as_of": fresh.facts.as_of.isoformat(),
        "facts_of": str(fresh.facts.session),
        "facts_age_hours": round(fresh.age_hours, 2),
        "briefs": [brief.model_dump(mode="json") for brief in fresh.briefs],
        "narratives": [narrative.model_dump(mode="json") for narrative in fresh.narratives],
        "silent": list(fresh.silent),
        "cost_usd": fresh.cost_usd,
        "seconds": round(fresh.seconds, 3),
    }


def _print(fresh: FreshBrief) -> None:
    here = fresh.facts.as_of.astimezone(NEW_YORK)
    columns = ("Analyst", "On", "Signal", "Confidence", "Answered by")
    rows = [
        [each.agent, each.symbol, f"{each.signal:+.2f}", f"{each.confidence:.2f}", f"{each.route} {each.model}".strip()]
        for each in fresh.briefs
    ]
    table(f"Brief at {here:%Y-%m-%d %H:%M} New York", columns, rows)
    for brief in fresh.briefs:
        typer.echo(printable(f"{brief.agent} on {brief.symbol}: {' '.join(brief.reasons)}"))
        cited = ", ".join(
            f"{e.table}.{e.column}={told(e.value)[:_VALUE_SHOWN]} ({e.symbol} {e.session})" for e in brief.evidence
        )
        typer.echo(printable(f"  cites {cited}"))
    for story in fresh.narratives:
        typer.echo(
            printable(f"narrative of {story.symbol}: {story.story} ({story.stage}, edge {story.edge}, {story.route})")
        )
    for silent in fresh.silent:
        say(printable(f"no answer from {silent}"))
    say(
        f"facts of {fresh.facts.session}, known for {fresh.age_hours:.1f} hours; "
        f"{fresh.cost_usd} USD, {fresh.seconds:.2f} s; nothing was written to the lake"
    )
