"""The benchmarks as assets, one set for each lane: made over the book's whole life as of the run's last session."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.ids import short_id
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark_model import BENCHMARK_NOTES, BENCHMARK_TABLES, BENCHMARKS, COIN_LIVES
from trading_assets.execution.model import ACCOUNT, FILLS, TRADES
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.plans.model import VOTES
from trading_assets.theses.model import OPINIONS

if TYPE_CHECKING:
    from trading_assets.evaluation.benchmarks.making import Made
    from trading_assets.execution.lanes import Lane

_FACTS = (DAILY_BARS, CORPORATE_ACTIONS)


def benchmark_assets(lane: str) -> Sequence[Any]:
    """Buy-and-hold, 12-1 momentum, the coin and the rules desk of a lane."""
    booked = [key_of(table, lane) for table in (ACCOUNT, FILLS, TRADES, VOTES, *OPINIONS)]
    deps = [*booked, *map(key_of, _FACTS)]

    @dg.multi_asset(
        specs=[spec(t, lane=lane, group=lane, kinds={"python", "parquet"}, deps=deps) for t in BENCHMARK_TABLES],
        name=f"{lane}_benchmarks",
        backfill_policy=SINGLE_RUN,
        pool=f"{lane}_shadow",
    )
    def benchmarks(context: dg.AssetExecutionContext, desk: DeskResource) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """What the money would have become in other hands, at the same costs."""
        from trading_assets.evaluation.benchmarks.making import make_benchmarks

        span = span_of(context.partition_keys)
        life = _life(desk, lane, span)
        made = make_benchmarks(desk.lake(), desk.rules(lane), life, shadow=lambda: _shadow(desk, lane, life))
        _forget_other_lives(desk, lane, life)
        written = _write(desk, lane, life, made)
        at_last_session(context, key_of(BENCHMARKS, lane), {n.name: n.sentence for n in made.told})
        for table in BENCHMARK_TABLES:
            yield stored(table, written[table.name], lane=lane)

    return [benchmarks]


def _write(desk: DeskResource, lane: str, life: Span, made: "Made") -> dict[str, Any]:
    lake, last = desk.lake(), Span(life.last, life.last)
    return {
        BENCHMARKS.name: lake.write(BENCHMARKS, BENCHMARKS.frame(made.rows), life, lane=lane),
        COIN_LIVES.name: lake.write(COIN_LIVES, COIN_LIVES.frame(made.lives), last, lane=lane),
        BENCHMARK_NOTES.name: lake.write(BENCHMARK_NOTES, BENCHMARK_NOTES.frame(made.notes), last, lane=lane),
    }


def _life(desk: DeskResource, lane: str, span: Span) -> Span:
    """From the book's first settled session to the run's last."""
    as_of = XNYS.session(span.last).close
    sessions = desk.lake().read(ACCOUNT, as_of=as_of, lane=lane, last=span.last)["session"]
    return Span(sessions[0], span.last) if sessions.len() else span


def _forget_other_lives(desk: DeskResource, lane: str, life: Span) -> None:
    """Hides what stood beside a book that is no more: before this one began, and after its last session on record."""
    lake, before, after = desk.lake(), life.first - timedelta(days=1), life.last + timedelta(days=1)
    ended = not lake.versions(ACCOUNT, Span(after, XNYS.last), lane=lane)
    for table in BENCHMARK_TABLES:
        lake.forget(table, Span(date.min, before), lane=lane)
        if ended:
            lake.forget(table, Span(after, date.max), lane=lane)


def _shadow(desk: DeskResource, lane: str, life: Span) -> "Lane":
    """The lane of the rules desk: the book's rules, and a ledger of its own for each life of the book.

    A backtest is walked under the settings of its run, so other settings have another shadow; the desk's goes on through a change.
    """
    from trading_assets.evaluation.benchmarks.shadow import rules_counsel
    from trading_assets.execution.lanes import Lane

    rules = desk.rules(lane)
    settings = "" if lane == DESK else rules.settings.model_dump_json()
    name = f"rules_{lane}_{short_id(lane, life.first, rules.limits_hash if settings else '', settings)}"
    return Lane(desk.lake(), desk.gates(), desk.ledger(name), replace(rules, book=name), rules_counsel())
