"""Words with one model: what it is sent, what it said, and one second attempt that tells it what was wrong.

pydantic-ai's agent says once for each model and type how a typed answer is asked for; from then on its models are asked directly,
which takes a third of the agent's time. The second attempt is the same question with the complaint below it: the bad answer
itself never goes back.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ContentFilterError, OutputTokenLimitExceeded
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from resources.llm.batch_listing import Catcher, Caught
from resources.llm.guarded import RouteModel
from resources.llm.inquiry import Inquiry, Judged
from resources.llm.meter import Heard, Meter
from resources.llm.prices import bill_of
from resources.llm.recording import Candidate
from resources.llm.routes import capabilities_of, output_of
from trading_assets.core.errors import PermanentFailure

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
AGAIN = (
    "An earlier answer to this question was refused: {complaint}. Answer anew, exactly in the form that is asked for."
)


class Malformed(Exception):
    """Two answers did not fit; the second one's complaint."""


@dataclass(frozen=True)
class Manner:
    """How a model is asked for one type: settings and parameters as the agent makes them, the instructions left to fill in."""

    settings: ModelSettings
    parameters: ModelRequestParameters

    def saying(self, system: str) -> ModelRequestParameters:
        """The parameters with these instructions."""
        parts = self.parameters.instruction_parts
        return replace(self.parameters, instruction_parts=parts and [replace(parts[0], content=system)])


async def manner_of(model: RouteModel, candidate: Candidate, inquiry: Inquiry[Any, Any]) -> Manner:
    """How the agent would ask; nothing is sent."""
    agent = Agent(
        output_type=output_of(candidate.route, candidate.model, inquiry.role.output),
        capabilities=capabilities_of(candidate.route),
    )
    try:
        await agent.run(inquiry.asked.prompt.user, model=Catcher(model), instructions=inquiry.asked.prompt.system)
    except Caught as caught:
        return Manner(caught.settings or ModelSettings(), caught.parameters)
    raise PermanentFailure("the agent asked nothing", value=candidate.model)


@dataclass
class Exchange:
    """One prompt to one model, behind a meter. `tokens_max` is what the first request's reserve allows."""

    model: RouteModel
    manner: Manner
    meter: Meter
    inquiry: Inquiry[Any, Any]

    async def answer(self, tokens_max: int) -> BaseModel:
        """The model's answer, or of a panel what fits of it after two attempts.

        Raises:
            Malformed: nothing of either answer fits.
            NotAsked: the first one does not fit, and a second request does not fit into the budget.
            AgentRunError: what the route did instead of answering (pydantic-ai's words, `resources/llm/failures.py` reads them).
        """
        user = self.inquiry.asked.prompt.user
        first = await self._attempt(user, tokens_max)
        if first.value is not None and not first.complaint:
            return first.value
        user = f"{user}\n\n{AGAIN.format(complaint=first.complaint)}"
        tokens_max = self.meter.reserve(f"{self.inquiry.text}\n{user}", after=first.complaint)
        second = await self._attempt(user, tokens_max)
        kept = self.inquiry.together(first, second)
        if kept is None:
            raise Malformed(second.complaint)
        return kept

    async def _attempt(self, user: str, tokens_max: int) -> Judged:
        """The answer to one request."""
        system, candidate = self.inquiry.asked.prompt.system, self.meter.candidate
        settings: ModelSettings = {**self.manner.settings, "max_tokens": tokens_max}
        self.meter.sending()
        begun = time.perf_counter()
        response = await model_request(
            self.model,
            [ModelRequest(parts=[UserPromptPart(user)], instructions=system)],
            model_settings=settings,
            model_request_parameters=self.manner.saying(system),
        )
        latency_ms = round((time.perf_counter() - begun) * 1000)
        bill = bill_of(candidate.route, candidate.model, response, at=self.meter.reserved_at)
        words = _words(response)
        in_cache = response.usage.cache_read_tokens + response.usage.cache_write_tokens
        self.meter.hear(Heard(bill, latency_ms, response.model_name or "", words, in_cache))
        return self._judged(response, words)

    def _judged(self, response: ModelResponse, words: str) -> Judged:
        if response.finish_reason == "content_filter":
            raise ContentFilterError("the model declined to answer")
        judged = self.inquiry.judged(_unfenced(words))
        if response.finish_reason == "length" and not judged.read:
            raise OutputTokenLimitExceeded("the answer was cut off")
        return judged


def _words(response: ModelResponse) -> str:
    """The raw answer: the arguments of the output tool where it was called, the text otherwise."""
    calls = [part.args_as_json_str() for part in response.parts if isinstance(part, ToolCallPart)]
    return "\n".join(calls) or "".join(part.content for part in response.parts if isinstance(part, TextPart))


def _unfenced(words: str) -> str:
    """The JSON of an answer that some models put between code marks, whatever they are told."""
    found = _FENCED.fullmatch(words)
    return found.group(1) if found else words
