"""`desk experiment`: what is tried on which sessions, written down before it begins, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from desk.market import sessions_between
from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import BACKTEST, DESK, DeskResource
from resources.ledger.engine import open_ledger
from resources.ledger.experiments import SqlExperiments
from resources.ledger.records import Experiment, Experiments
from resources.ledger.store import SqlLedger
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Json
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.core.ports import Span
from trading_assets.evaluation.experiments.assignment import assignment
from trading_assets.evaluation.experiments.designing import design_of, draft_of, first_session, load_draft, power_at
from trading_assets.evaluation.experiments.evening import in_course
from trading_assets.evaluation.experiments.judging import moved_from, standings
from trading_assets.evaluation.experiments.measures import Record, measured
from trading_assets.evaluation.experiments.model import Design, Draft, Registered
from trading_assets.evaluation.experiments.replay import Paired, arms_parameters, paired, walked

SHOWN_SESSIONS = 10


def run_start(file: Path | None, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Writes an experiment down; its first session is the next that has not opened.

    Args:
        file: A YAML file with the draft; None takes it from `given`.
        given: The draft's values by name; `arms` as ARM:PARAMETER=VALUE,...
    """
    prepare_home()
    desk = DeskResource()
    draft = load_draft(file) if file is not None else draft_of({**given, "arms": _arms(given.get("arms", ()))})
    now = desk.clock().now()
    parameters, record = _in_force(desk, first_session(now, XNYS)), _record_before(desk, draft)

    def make(registered: Sequence[Registered], seed: str) -> Design:
        return design_of(
            draft,
            parameters=parameters,
            record=record,
            registered=registered,
            seed=seed,
            now=now,
            calendar=XNYS,
        )

    design = _experiments(desk).start(make, as_of=now)
    say(f"experiment {design.id} begins with {design.first}; desk experiment show {design.id}")
    show(_told(design), as_json=as_json)


def run_list(*, as_json: bool) -> None:
    """Every experiment of the desk with its state, oldest first."""
    prepare_home()
    registered = _experiments(DeskResource()).registered()
    rows = [
        {
            "id": each.design.id,
            "measure": each.design.draft.measure,
            "parameters": list(each.design.draft.parameters),
            "first": each.design.first.isoformat(),
            "state": "running" if each.ended is None else each.ended.verdict,
            "last": "" if each.ended is None else each.ended.session.isoformat(),
        }
        for each in registered
    ]
    if as_json:
        show({"experiments": rows}, as_json=True)
        return
    words = [
        [str(r["id"]), ", ".join(r["parameters"]), *(str(r[k]) for k in ("measure", "first", "state"))] for r in rows
    ]
    table("Experiments", ("id", "parameters", "measure", "first", "state"), words)


def run_show(name: str, *, as_json: bool) -> None:
    """An experiment's design, its next sessions, and what may be said of it by now."""
    prepare_home()
    desk = DeskResource()
    found = _experiments(desk).one(name)
    show({**_told(found.design), **_state(desk, found)}, as_json=as_json)


def run_stop(name: str, reason: str, *, as_json: bool) -> None:
    """Ends an experiment without a verdict; the session in course keeps its arm."""
    prepare_home()
    desk = DeskResource()
    now = desk.clock().now()
    experiments = _experiments(desk)
    last = max(in_course(now, XNYS), XNYS.previous(experiments.one(name).design.first).day)
    if not experiments.end(name, "stopped", reason, session=last, result={}, as_of=now):
        raise PermanentFailure("the experiment has ended already", value=name, hint=f"desk experiment show {name}")
    show({"experiment": name, "state": "stopped", "last": last.isoformat(), "reason": reason}, as_json=as_json)


def run_replay(name: str, first: date, last: date, *, as_json: bool) -> None:
    """Walks every arm over the same past sessions on ledgers of their own; no part of the experiment's verdict."""
    prepare_home()
    desk = DeskResource()
    design = _experiments(desk).one(name).design
    span = sessions_between(first, last)
    records = {}
    for arm, parameters in arms_parameters(design, _in_force(desk, design.first)).items():
        say(f"walking {arm} from {span.first} to {span.last}")
        records[arm] = _walked(desk, span, parameters)
    told = [_paired(each) for each in paired(design, records)]
    _remember(desk, design, span, told)
    show(
        {
            "experiment": name,
            "evidence": "replayed, not live: it never enters the verdict",
            "sessions": f"{span.first} to {span.last}",
            "measure": design.draft.measure,
            **{str(each["arm"]): each for each in told},
        },
        as_json=as_json,
    )


def _experiments(desk: DeskResource) -> SqlExperiments:
    return SqlExperiments(desk.engine(DESK), DESK, desk.journal_files(DESK))


def _in_force(desk: DeskResource, day: date) -> Parameters:
    """What holds on a session without any arm."""
    tuned = desk.rules(DESK).tuned
    return Tuned(tuned.base, tuned.changes).at(day)


def _record_before(desk: DeskResource, draft: Draft) -> tuple[float, ...]:
    """The measure over the desk's own sessions so far."""
    last = XNYS.last_closed(desk.clock().now()).day
    return tuple(measured(draft.measure, Record.read(desk.lake(), DESK, last)).counted.values())


def _state(desk: DeskResource, found: Registered) -> dict[str, Any]:
    """Numbers of the looks so far and no others; before the first, how many sessions are still needed."""
    last = XNYS.last_closed(desk.clock().now()).day
    state = {"state": "running" if found.ended is None else found.ended.verdict}
    if found.ended is not None:
        state |= {"ended_after": found.ended.session.isoformat(), "reason": found.ended.reason}
    if last < found.design.first:
        return {**state, "standing": [f"not yet: its first session is {found.design.first}"]}
    tuned = desk.rules(DESK).tuned
    record = measured(found.design.draft.measure, Record.read(desk.lake(), DESK, last))
    standing = standings(found, record, last, broken=moved_from(found.design, tuned, last))
    return {**state, "standing": [f"{each.arm}: {each.sentence}" for each in standing]}


def _told(design: Design) -> dict[str, Any]:
    """The design for a person, with what it can find and the sessions that come first."""
    draft, dealt = design.draft, assignment(design, XNYS)
    power = power_at(draft, design.spread, draft.smallest_effect)
    first = [f"{day.isoformat()} {arm}" for day, arm in list(dealt.items())[:SHOWN_SESSIONS]]
    source = f"from {design.spread_sessions} sessions of record" if design.spread_sessions else "as written down"
    return {
        "experiment": design.id,
        "hypothesis": draft.hypothesis,
        "arms": {name: draft.arms.get(name, {}) or "as it is" for name in draft.names},
        "measure": draft.measure,
        "better": draft.better,
        "smallest_effect": draft.smallest_effect,
        "spread": f"{design.spread:.6g} {source}",
        "sessions_of_each_arm": f"needed {design.sessions_needed}, least {draft.sessions_min}, most {draft.look_sizes[-1]}",
        "power": round(power, 3),
        "alpha": draft.alpha,
        "looks_at": list(draft.look_sizes),
        "first_session": design.first.isoformat(),
        "first_sessions": first,
        "digest": design.digest,
    }


def _arms(words: Sequence[str]) -> dict[str, dict[str, float]]:
    """Arms from ARM:PARAMETER=VALUE,PARAMETER=VALUE."""
    found: dict[str, dict[str, float]] = {}
    for word in words:
        name, _, rest = word.partition(":")
        pairs = [part.partition("=") for part in rest.split(",")]
        try:
            found[name] = {parameter: float(value) for parameter, _, value in pairs}
        except ValueError as wrong:
            hint = "--arm wide:stop_atr=2.5,target_atr=4.0"
            raise PermanentFailure("an arm names its parameters and values", value=word, hint=hint) from wrong
    return found


def _walked(desk: DeskResource, span: Span, parameters: Parameters) -> Record:
    """A walk of the backtest's rules on a ledger that is thrown away."""
    from trading_assets.execution.counsel import Counsel
    from trading_assets.execution.lanes import Lane

    rules = desk.rules(BACKTEST)
    budget_of = desk.budgets(BACKTEST, run="experiment")
    with TemporaryDirectory(prefix="desk-experiment-") as folder, desk.reasoner() as reasoner, reasoner.cycle():
        engine = open_ledger(Path(folder) / "arm.sqlite", durability="NORMAL", lane=BACKTEST)
        try:
            counsel = Counsel(reasoner, lambda slot: budget_of(slot.session, slot.label), rules.agents.patience)
            lane = Lane(desk.lake(), desk.gates(), SqlLedger(engine, BACKTEST), rules, counsel)
            return walked(lane, span, parameters)
        finally:
            engine.dispose()


def _paired(each: Paired) -> dict[str, Json]:
    """A replayed arm as it is shown and stored."""
    found = each.difference
    numbers: dict[str, Json] = {"difference": None, "low": None, "high": None}
    if found is not None:
        numbers = {"difference": round(found.mean, 6), "low": round(found.low, 6), "high": round(found.high, 6)}
    return {"arm": each.arm, "sessions": each.sessions, "sessions_that_differ": each.differing, **numbers}


def _remember(desk: DeskResource, design: Design, span: Span, told: Sequence[Mapping[str, Json]]) -> None:
    """A replay is one more thing that was tried, and stands with all others."""
    parameters: dict[str, Json] = {
        "first": span.first.isoformat(),
        "last": span.last.isoformat(),
        "digest": design.digest,
    }
    result: dict[str, Json] = {str(each["arm"]): dict(each) for each in told}
    tried = Experiment(f"replay {design.id}", f"experiment/{design.id}", design.draft.hypothesis, parameters, result)
    Experiments(desk.engine(DESK)).record(tried, as_of=desk.clock().now())
