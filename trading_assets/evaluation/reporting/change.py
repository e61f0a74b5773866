"""What to change: proposals that wait for the operator, what the record points at, switched strategies, experiments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.evaluation.experiments.model import EXPERIMENT_RESULTS
from trading_assets.evaluation.learning.model import STRATEGY_STANDINGS
from trading_assets.evaluation.proposals import Proposal, propose
from trading_assets.evaluation.reporting.document import Block, Bullets, Line, Words
from trading_assets.evaluation.reporting.groups import groups_by
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.vetoes import controls_of
from trading_assets.evaluation.reporting.words import NOISE, listed, spoken
from trading_assets.evaluation.suggestions import ProposalLine
from trading_assets.evaluation.summary import records_by, trade_record
from trading_assets.execution.model import ACCOUNT

OBSERVATIONS_SHOWN = 4
_QUIET = frozenset({"on"})


@dataclass(frozen=True, slots=True)
class Switch:
    """A strategy in a regime that the monitor has switched, or is about to."""

    strategy: str
    regime: str
    word: str
    trades: int
    reason: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """Where one arm of an experiment stands."""

    experiment: str
    arm: str
    verdict: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that the record points at, and whether it can be told from chance; None where that is not a matter of chance."""

    subject: str
    action: str
    evidence: str
    observations: int
    is_noise: bool | None


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that asks for a decision, or tells of one. `proposes` is False for a book that has no operator."""

    proposes: bool
    proposals: tuple[ProposalLine, ...]
    answered: tuple[ProposalLine, ...]
    observations: tuple[Observation, ...]
    switches: tuple[Switch, ...]
    experiments: tuple[Experiment, ...]


def change(record: Record) -> Change:
    """Reads proposals, the monitor's standings, experiments and the closed trades."""
    lines: Sequence[ProposalLine] = record.told.proposals() if record.told.proposals else ()
    answered = (line for line in lines if line.state != "open" and _recent(line, record))
    return Change(
        proposes=record.told.proposals is not None,
        proposals=tuple(line for line in lines if line.state == "open"),
        answered=tuple(answered),
        observations=_observations(record),
        switches=tuple(_switch(row) for row in _rows(record, STRATEGY_STANDINGS) if row["word"] not in _QUIET),
        experiments=tuple(_experiment(row) for row in _rows(record, EXPERIMENT_RESULTS)),
    )


def tell_change(found: Change, record: Record) -> Iterator[Block]:
    """Proposals first, each with the command that answers it."""
    if found.proposals:
        yield Bullets(tuple(map(_proposal, found.proposals)))
    elif found.proposes:
        yield Words("No proposal is open: the record supports no move of a parameter.")
    else:
        yield Words(
            f"The book {record.lane} proposes nothing: a backtest is walked by the parameters it was started with."
        )
    noted = [*map(_answered, found.answered), *map(_switched, found.switches), *map(_tried, found.experiments)]
    if noted:
        yield Bullets(tuple(noted))
    shown = [each for each in found.observations if not each.is_noise][:OBSERVATIONS_SHOWN]
    if shown:
        yield Bullets(tuple(_observed(each) for each in shown))
        yield Words(
            "These last are what the record points at; nothing is applied, and none is a parameter.", quiet=True
        )
    weak = [f"{spoken(each.subject)} (n = {each.observations})" for each in found.observations if each.is_noise]
    if weak:
        yield Words(f"Below their marks, yet {NOISE}: {listed(weak)}. Nothing to change on that.", quiet=True)


def _observations(record: Record) -> tuple[Observation, ...]:
    """What is weak, and whether the mean of its trades can be told from nothing."""
    groups = {
        f"{column} {name}": group
        for column in ("strategy", "regime")
        for name, group in groups_by(column)(record).items()
    }
    told = []
    for each in _proposed(record):
        group = groups.get(each.subject)
        noise = None if group is None else group.per_trade_usd is None or not group.per_trade_usd.below_zero
        told.append(Observation(each.subject, each.action, each.evidence, each.observations, noise))
    return tuple(told)


def _proposed(record: Record) -> tuple[Proposal, ...]:
    trades = record.trades
    fees = sum(record.read(ACCOUNT)["fees"].to_list(), Decimal(0))
    return propose(
        records_by(trades, "strategy"),
        records_by(trades, "regime"),
        controls_of(record),
        fees_usd=fees,
        gross_profit_usd=trade_record(trades.filter(pl.col("pnl") > 0)).pnl_usd,
        trades=trades.height,
    )


def _rows(record: Record, table: Any) -> list[dict[str, Any]]:
    return record.at_last(table).rows(named=True)


def _recent(line: ProposalLine, record: Record) -> bool:
    """Answered or lapsed since the period began: older ones are history."""
    since = line.from_session or line.lapses
    return line.session >= record.period.first or record.period.first <= since <= record.period.next.day


def _switch(row: dict[str, Any]) -> Switch:
    return Switch(*(row[name] for name in ("strategy", "regime", "word", "trades", "reason")))


def _experiment(row: dict[str, Any]) -> Experiment:
    return Experiment(*(row[name] for name in ("experiment", "arm", "verdict", "sentence")))


def _proposal(line: ProposalLine) -> Line:
    gain = ""
    if line.gain_usd is not None:
        mean, low, high = line.gain_usd
        gain = f" A trade gains {mean:+,.2f} USD ({low:+,.2f} to {high:+,.2f})."
    tried = f", the best of {line.tried} tried" if line.tried else ""
    text = (
        f"{line.before} to {line.after}: {line.reason}{gain} n = {line.observations}{tried}; open until {line.lapses}."
    )
    return Line(text, strong=spoken(line.name), command=f"desk approve {line.id}")


def _answered(line: ProposalLine) -> Line:
    who = f" by {line.who}" if line.who else ""
    start = f", from {line.from_session}" if line.from_session else ""
    return Line(
        f"{line.before} to {line.after} {line.state}{who}{start}. {line.answer_reason}", strong=spoken(line.name)
    )


def _switched(switch: Switch) -> Line:
    return Line(switch.reason, strong=f"{spoken(switch.strategy)} in {spoken(switch.regime)}: {switch.word}")


def _tried(one: Experiment) -> Line:
    over = "" if one.verdict else f"desk experiment show {one.experiment}"
    return Line(one.sentence, strong=f"experiment {one.experiment}, {one.arm}", command=over)


def _observed(each: Observation) -> Line:
    return Line(f"{each.action}. {each.evidence} (n = {each.observations}).", strong=spoken(each.subject))
