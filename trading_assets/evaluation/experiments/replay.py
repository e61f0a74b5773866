"""Both arms over the same sessions of the past, each on a ledger of its own: what an experiment might find, told apart from it.

Such a pair has no luck of assignment in it, and needs far fewer sessions. But its sessions were known when the arms were chosen,
and the paper broker's fills are not the market's: it never enters the verdict of the experiment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from trading_assets.core.calendar import XNYS, days_of
from trading_assets.core.errors import DataNotReady
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.core.ports import Span
from trading_assets.evaluation.experiments.measures import Record, measured
from trading_assets.evaluation.experiments.model import CONTROL, Design
from trading_assets.evaluation.statistics import Interval, block_bootstrap_difference
from trading_assets.execution.lanes import BacktestWalk, Lane
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES
from trading_assets.execution.views import account_rows, fill_rows, position_rows, trade_rows
from trading_assets.theses.model import STANCES

_SEED = 20_241


@dataclass(frozen=True, slots=True)
class Paired:
    """An arm less control over the sessions of a replay that both have a value for; no interval where those are too few."""

    arm: str
    sessions: int
    differing: int
    difference: Interval | None


def walked(lane: Lane, span: Span, parameters: Parameters) -> Record:
    """The record of a walk under fixed parameters, on the lane's empty ledger; nothing is written to the lake.

    Raises:
        DataNotReady: a session of the span has no opinions to decide on.
    """
    _require_opinions(lane, span)
    under = replace(lane, rules=replace(lane.rules, tuned=Tuned(parameters)))
    BacktestWalk(under, span).walk()
    with under.ledger.reading() as ledger:
        closes = ledger.closes(span.first, span.last)
        fills = fill_rows(ledger.fills(span.last), span)
        return Record(
            last=span.last,
            account=ACCOUNT.frame(account_rows(closes, ledger.decisions(span.first, span.last))),
            trades=TRADES.frame(trade_rows(ledger, under.lake, span)),
            fills=FILLS.frame(fills),
            positions=POSITIONS.frame(position_rows(closes)),
            references={intent.id: float(intent.plan.reference) for intent in ledger.intents(span.last)},
        )


def arms_parameters(design: Design, parameters: Parameters) -> Mapping[str, Parameters]:
    """What each arm decides with: what is in force, the values under test as the design began with them, and the arm's changes."""
    base = parameters.with_values(design.base)
    return {name: base.with_values(design.draft.arms.get(name, {})) for name in design.draft.names}


def paired(design: Design, records: Mapping[str, Record]) -> tuple[Paired, ...]:
    """Each arm less control, session by session; the interval draws blocks of sessions."""
    values = {name: measured(design.draft.measure, record).counted for name, record in records.items()}
    return tuple(_against_control(arm, values, design) for arm in design.draft.treatments)


def _against_control(arm: str, values: Mapping[str, Mapping[date, float]], design: Design) -> Paired:
    both = sorted(values[arm].keys() & values[CONTROL].keys())
    first, second = ([values[name][day] for day in both] for name in (arm, CONTROL))
    found = block_bootstrap_difference(first, second, level=1 - design.draft.level, seed=_SEED)
    return Paired(arm, len(both), sum(a != b for a, b in zip(first, second, strict=True)), found)


def _require_opinions(lane: Lane, span: Span) -> None:
    stored = lane.lake.versions(STANCES, span, lane=lane.name)
    missing = [day for day in days_of(XNYS.sessions(span.first, span.last)) if day not in stored]
    if missing:
        raise DataNotReady(
            "a replay walks sessions that a backtest has opinions for",
            value=missing[0],
            hint=f"desk backtest --from {span.first} --to {span.last}",
        )
