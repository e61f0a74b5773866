"""`desk proposals` and `desk approve`: what the desk would move, and the operator's word on it."""

from datetime import date
from typing import Any

from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.core.calendar import NEW_YORK
from trading_assets.evaluation.suggestions import Answer, ProposalLine, proposal_lines, shown

OPERATOR = "operator"


def run_proposals(*, everything: bool, as_json: bool) -> None:
    """Shows the open proposals, or all that were ever made."""
    prepare_home()
    desk = DeskResource()
    lines = proposal_lines(desk.proposals().proposals(), on=today_of(desk))
    listed = [each for each in lines if everything or each.state == "open"]
    if as_json:
        show({"proposals": [_proposal(each) for each in listed]}, as_json=True)
        return
    if not listed:
        say("no proposal is open" if not everything else "nothing was ever proposed")
        return
    columns = ("id", "parameter", "from", "to", "by", "observations", "state", "open until")
    rows = [
        (each.id, each.name, each.before, each.after, each.origin, str(each.observations), each.state, f"{each.lapses}")
        for each in listed
    ]
    table("proposals", columns, rows)
    for each in listed:
        say(f"{each.id}: {each.reason}" + (f" [{each.who}: {each.answer_reason}]" if each.who else ""))


def run_approve(proposal_id: str, *, refuse: bool, reason: str, as_json: bool) -> None:
    """Answers a proposal; an approved one counts from the next session on."""
    prepare_home()
    desk = DeskResource()
    why = reason.strip() or ("refused by the operator" if refuse else "approved by the operator")
    answer: Answer = "refused" if refuse else "approved"
    done = desk.proposals().answer(proposal_id, answer, who=OPERATOR, reason=why, as_of=desk.clock().now())
    told = {"proposal": done.id, "answer": answer, "parameter": done.name, "reason": why}
    start = done.answered.from_session if done.answered else None
    moved = {"before": shown(done.before), "after": shown(done.after), "from_session": start} if start else {}
    show({**told, **moved}, as_json=as_json)


def today_of(desk: DeskResource) -> date:
    """The day on the desk's clock, New York."""
    return desk.clock().now().astimezone(NEW_YORK).date()


def _proposal(each: ProposalLine) -> dict[str, Any]:
    return {name: getattr(each, name) for name in ProposalLine.__slots__}
