"""Batches of the reasoner's own questions: recorded under the keys that its replays look up, judged as its live answers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from resources.llm.batch_results import Judge
from resources.llm.batch_rows import PreparedRequest
from resources.llm.inquiry import Inquiry
from resources.llm.recording import Candidate, request_of
from trading_assets.core.errors import PermanentFailure

AnyInquiry = Inquiry[Any, Any]
_COMPLAINT_MAX = 200


def prepared_of(inquiry: AnyInquiry, candidate: Candidate, *, max_tokens: int) -> PreparedRequest:
    """The inquiry as a question of a batch to one of its candidates."""
    asked = inquiry.asked
    return PreparedRequest(
        key=inquiry.key(candidate),
        skill=asked.skill,
        skill_hash=asked.skill_hash,
        request=request_of(candidate, asked),
        system=asked.prompt.system,
        user=asked.prompt.user,
        output=inquiry.role.output,
        max_tokens=max_tokens,
        budget=inquiry.budget,
    )


def judge_of(inquiries: Sequence[AnyInquiry], candidate: Candidate) -> Judge:
    """A judge over answers to these inquiries: of the right type, and without a complaint of role, mask or fence."""
    by_key: Mapping[str, AnyInquiry] = {inquiry.key(candidate): inquiry for inquiry in inquiries}

    def judge(key: str, text: str) -> Mapping[str, Any] | str:
        inquiry = by_key.get(key)
        if inquiry is None:
            raise PermanentFailure("a batch holds a question that was not prepared again", value=key)
        try:
            value = inquiry.role.output.model_validate_json(text)
        except ValidationError as wrong:
            first = wrong.errors(include_input=False, include_url=False)[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:_COMPLAINT_MAX]
        complaint = inquiry.complaint(value)
        return complaint if complaint is not None else value.model_dump(mode="json")

    return judge
