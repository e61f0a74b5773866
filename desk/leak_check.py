"""`desk leak-check`: whether a model remembers the past that it is asked about, or reads the prices."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from desk.output import say, table
from desk.runner import prepare_home
from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.core.settings import config_folder
from trading_assets.reasoning.budgets import backfill_budget
from trading_assets.reasoning.doubles import Memoriser, Mixture, Reasoner
from trading_assets.reasoning.leak_check import (
    Ask,
    LeakReport,
    Questions,
    Verdict,
    by_rules,
    numbers,
    probe,
    questions_of,
)
from trading_assets.reasoning.leakage import label
from trading_assets.reasoning.model import TIERS, Answer, Budget, In, Leakage, Out, Role
from trading_assets.reasoning.probes import RECALL_PROBE, TREND_PROBE, Case, Close, cases_of
from trading_assets.reasoning.proportions import Gap, Share
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.settings import ReasoningSettings, RouteSettings, load_reasoning

if TYPE_CHECKING:
    from resources.llm.forecast import Forecast
    from resources.llm.reasoner import DeskReasoner

CASES = 200
CASES_MAX = 5_000
# What the check must say of subjects whose memory is known; the rules must not be found to remember.
EXPECTED: Mapping[str, Sequence[Verdict]] = {
    "memoriser": ("memorises",),
    "mixture": ("mixed",),
    "reasoner": ("reasons",),
    "rules": ("reasons", "cannot tell"),
}
_HYPOTHESIS = "the subject answers from its inputs and not from what it remembers of the symbol and the day"


def run_leak_check(subject: str, cases: int, *, as_json: bool) -> None:
    """Puts the probes to a subject and prints what they show; the result is stored among the experiments.

    Exit code 1 when memory is seen at work. Without a subject, the doubles and the rules are probed, and the exit code is 1 when
    the check does not tell them apart.

    Args:
        subject: memoriser, reasoner, mixture, rules, `<route>:<model>`, or empty.
        cases: How many cases of the lake, spread evenly over its symbols and years; each takes six questions.
        as_json: One JSON object on stdout instead of a table.
    """
    if not 1 <= cases <= CASES_MAX:
        raise PermanentFailure("that many cases cannot be put", value=cases, bound=f"1 to {CASES_MAX}")
    prepare_home()
    desk = DeskResource()
    chosen = cases_of(_histories(desk), count=cases)
    names = [subject] if subject else list(EXPECTED)
    reports = {name: _probed(desk, name, chosen) for name in names}
    told = {name: _told(name, chosen, report) for name, report in reports.items()}
    _store(desk, chosen, told)
    if as_json:
        typer.echo(json.dumps({"cases": len(chosen), "subjects": told}))
    else:
        _show(chosen, reports)
    wrong = [
        name for name in names if (reports[name].leaks if subject else reports[name].verdict not in EXPECTED[name])
    ]
    if wrong:
        raise typer.Exit(1)


def _histories(desk: DeskResource) -> Mapping[str, Sequence[Close]]:
    """The lake's closes by symbol, as traded and in the share count of the newest bar."""
    import polars as pl

    from trading_assets.market.adjust import split_adjusted
    from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS

    lake, as_of = desk.lake(), desk.clock().now()
    bars = lake.read(DAILY_BARS, as_of=as_of).filter(pl.col("close").is_finite() & (pl.col("close") > 0))
    if bars.is_empty():
        raise DataNotReady("the lake has no daily bars to ask about", hint="desk ingest --from D --to D fetches bars")
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of)
    shares = split_adjusted(bars, actions, as_of_session=max(bars["session"].to_list()))
    rows = (
        bars.with_columns(shares["close"].alias("adjusted"))
        .sort("session")
        .select("symbol", "session", "close", "adjusted")
    )
    histories: dict[str, list[Close]] = {}
    for symbol, session, close, adjusted in rows.iter_rows():
        histories.setdefault(symbol, []).append(Close(session, close, adjusted))
    return histories


def _probed(desk: DeskResource, subject: str, cases: Sequence[Case]) -> LeakReport:
    made: Mapping[str, Ask] = {
        "memoriser": Memoriser(cases),
        "reasoner": Reasoner(),
        "mixture": Mixture(cases),
        "rules": by_rules,
    }
    if subject in made:
        return probe(cases, made[subject])
    route, separator, model = subject.partition(":")
    if not separator or not route or not model:
        raise PermanentFailure("there is no such subject", value=subject, bound=f"{', '.join(made)} or <route>:<model>")
    settings = _settings_of(load_reasoning(config_folder()), route, model)
    with _reasoner(desk, settings) as reasoner:
        asking = _Model(reasoner, settings, cases, RealClock().now(), route)
        asking.say_bill(questions_of(cases), f"{route}:{model}")
        return probe(cases, asking)


def _settings_of(settings: ReasoningSettings, route: str, model: str) -> ReasoningSettings:
    """The settings with one model on one route and without masking: the probes mask by themselves."""
    if settings.mode == "rules":
        raise PermanentFailure(
            "no model may be asked",
            value="mode: rules",
            bound="mode: models or replay_only",
            hint="edit config/reasoning.yaml",
        )
    found = next((one for one in settings.enabled if one.name == route), None)
    if found is None:
        enabled = ", ".join(one.name for one in settings.enabled) or "none"
        raise PermanentFailure(
            "the route is not enabled", value=route, bound=enabled, hint="edit config/reasoning.yaml"
        )
    alone = RouteSettings.model_validate({**found.model_dump(), "models": dict.fromkeys(TIERS, model)})
    return settings.model_copy(update={"routes": (alone,), "mask": "never"})


def _reasoner(desk: DeskResource, settings: ReasoningSettings) -> "DeskReasoner":
    from resources.llm.reasoner import open_reasoner

    return open_reasoner(
        settings,
        engine=lambda: desk.engine(DESK),
        shelf=desk.skills(),
        registry=_registry(),
        environment=os.environ,
        clock=RealClock(),
    )


@dataclass
class _Model:
    """A model as a subject: asked through the reasoner, paid in real time from a backfill of its own."""

    reasoner: "DeskReasoner"
    settings: ReasoningSettings
    cases: Sequence[Case]
    now: datetime
    route: str
    asked: int = field(default=0)

    def __call__(self, role: Role[In, Out], questions: Sequence[In]) -> Sequence[Out | None]:
        """The model's own answers; what the rules said in its place is no answer of it."""
        said = self.reasoner.ask_many(role, questions, budget=self._budgets(len(questions)), as_of=self._moments())
        self.asked += len(questions)
        return [one.value if isinstance(one, Answer) and one.route == self.route else None for one in said]

    def say_bill(self, questions: Questions, name: str) -> None:
        """Says what the questions may cost before the first one; refuses when a backfill may not spend as much."""
        trends = [one for batch in questions.trends for one in batch]
        bills = (self._bill(TREND_PROBE, trends, len(questions.trends)), self._bill(RECALL_PROBE, questions.recall, 1))
        expected = sum((bill.usd_expected for bill in bills), Decimal(0))
        most = sum((bill.usd_max for bill in bills), Decimal(0))
        calls, recorded = sum(bill.calls for bill in bills), sum(bill.replayed for bill in bills)
        unasked = sum(bill.by_rules for bill in bills)
        say(f"{name}: {calls} calls, {recorded} answers on record; about {expected:.4f} USD, at most {most:.4f} USD")
        if self.settings.mode == "models" and unasked:
            raise PermanentFailure(
                f"{name} cannot answer {unasked} of the questions",
                value=_missing(self.settings) or "its price is unknown, or no answer fits into a decision's budget",
                hint="desk costs shows budgets; keys are named in config/reasoning.yaml",
            )
        limit = Decimal(str(self.settings.budget.backfill_usd))
        if expected > limit:
            raise PermanentFailure(
                "the probes would cost more than a backfill may", value=f"{expected:.2f} USD", bound=f"{limit} USD",
                hint="ask about fewer with --cases, or raise budget.backfill_usd",
            )  # fmt: skip

    def _bill(self, role: Role[In, Out], questions: Sequence[In], batches: int) -> "Forecast":
        budgets, moments = self._budgets(len(questions)), self._moments() * batches
        return self.reasoner.forecast(role, questions, budget=budgets, as_of=moments)

    def _budgets(self, count: int) -> Sequence[Budget]:
        """Each question is a decision of its own; all are paid from the backfill that is named after the moment."""
        name, day = f"leak-check-{self.now:%Y%m%dT%H%M%S}", self.now.astimezone(NEW_YORK).date()
        names = [f"leak-check/{self.asked + position}" for position in range(count)]
        return [backfill_budget(self.settings.budget, decision=one, day=day, backfill=name) for one in names]

    def _moments(self) -> list[datetime]:
        return [_moment(case) for case in self.cases]


def _missing(settings: ReasoningSettings) -> str | None:
    from resources.llm.routes import open_routes

    return next((route.missing for route in open_routes(settings, os.environ)), None)


def _moment(case: Case) -> datetime:
    return XNYS.session(case.inputs.session).close


def _registry() -> ModelRegistry:
    return ModelRegistry.load(config_folder() / "models.yaml")


def _told(subject: str, cases: Sequence[Case], report: LeakReport) -> dict[str, Json]:
    _, _, model = subject.partition(":")
    return {**numbers(report), **({"leakage": _labels(model, cases)} if model else {})}


def _labels(model: str, cases: Sequence[Case]) -> dict[str, Json]:
    """How many of the cases the model could know the outcome of: only contaminated ones can show memory."""
    registry = _registry()
    counted = Counter(label([model], as_of=_moment(case), registry=registry) for case in cases)
    names: tuple[Leakage, ...] = ("clean", "contaminated", "unknown")
    return {name: counted[name] for name in names}


def _store(desk: DeskResource, cases: Sequence[Case], told: Mapping[str, dict[str, Json]]) -> None:
    from resources.ledger.records import Experiment, Experiments

    days = [case.inputs.session for case in cases]
    parameters: dict[str, Json] = {
        "cases": len(cases),
        "first_session": min(days).isoformat(),
        "last_session": max(days).isoformat(),
        "symbols": len({case.inputs.symbol for case in cases}),
    }
    experiments = Experiments(desk.engine(DESK))
    for subject, result in told.items():
        experiments.record(Experiment("leak-check", subject, _HYPOTHESIS, parameters, result), as_of=desk.clock().now())


def _show(cases: Sequence[Case], reports: Mapping[str, LeakReport]) -> None:
    days = [case.inputs.session for case in cases]
    columns = (
        *("subject", "right, named", "right, masked", "gap", "same when prices turn"),
        *("follows prices", "recalls", "recall right", "verdict"),
    )
    rows = [
        [
            subject,
            _percent(report.named),
            _percent(report.masked),
            _ends(report.gap),
            _percent(report.unchanged),
            _percent(report.follows_prices),
            _percent(report.recalled),
            _percent(report.recalled_right),
            report.verdict,
        ]
        for subject, report in reports.items()
    ]
    symbols = len({case.inputs.symbol for case in cases})
    table(f"Leak check: {len(cases)} cases, {symbols} symbols, {min(days)} to {max(days)}", columns, rows)
    for subject, report in reports.items():
        typer.echo(f"{subject}: {report.sentence}")


def _ends(gap: Gap) -> str:
    if gap.value is None:
        return "none"
    # Adding 0.0 makes a plain nought of a negative one.
    value, low, high = (f"{round(end, 2) + 0.0:+.0%}" for end in (gap.value, gap.low, gap.high))
    return f"{value} ({low} to {high})"


def _percent(share: Share) -> str:
    return "none" if share.value is None else f"{share.value:.0%}"
