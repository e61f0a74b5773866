"""The `claude` program as a model: one question, one typed answer, paid by a subscription.

It sees no key, no settings, no tools and no files; the subscription's token comes from CLAUDE_CODE_OAUTH_TOKEN, which
`claude setup-token` makes. A key that pays for each call is never passed on: such calls would cost money and be booked as free.
The program may ask its provider several times for one answer; the usage that it tells at the end counts all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from resources.llm.cli_words import Texts, as_route_failures, count_of, error_of_status, object_of, texts_of
from resources.llm.commands import Finished, empty_room, run_command, scrubbed_environment
from resources.llm.guarded import UndocumentedReply
from resources.llm.keys import Key
from resources.llm.routes import CLAUDE_TOKEN
from trading_assets.reasoning.settings import RouteSettings

# One argument of a Linux command line holds 128 KiB.
ARGUMENT_BYTES_MAX = 128 * 1024 - 1
_QUIET = {
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
}


class ClaudeCliModel(Model):
    """`claude -p`, once for each request."""

    def __init__(
        self, name: str, route: RouteSettings, environment: Mapping[str, str], *, token: Key | None = None
    ) -> None:
        profile = ModelProfile(
            supports_json_schema_output=True, default_structured_output_mode="native", supports_tools=False
        )
        super().__init__(profile=profile)
        self._name = name
        self._route = route
        self._environment = environment
        self._token = token

    @property
    def model_name(self) -> str:
        """The model that the program is told to use."""
        return self._name

    @property
    def system(self) -> str:
        """The provider's name in responses."""
        return "claude-cli"

    @property
    def base_url(self) -> str | None:
        """Another address than the program's own, if the settings name one."""
        return self._route.base_url

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """See the base class; ends the program whenever the wait ends."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        instructions = self._get_instruction_parts(messages, parameters) or []
        texts = texts_of(messages, [part.content for part in instructions])
        finished = await self._run(texts, parameters, settings or ModelSettings())
        return self._response(self._told(finished))

    async def _run(self, texts: Texts, parameters: ModelRequestParameters, settings: ModelSettings) -> Finished:
        arguments = self._arguments(texts.system, parameters)
        if any(len(argument.encode()) > ARGUMENT_BYTES_MAX for argument in arguments):
            raise ModelRequestRejectedError(self._name, "the doctrine is longer than a command line can carry")
        with empty_room() as room:
            environment = scrubbed_environment(self._environment, room, self._extra(settings))
            timeout_s = self._route.timeout_s
            with as_route_failures("claude", self._name, timeout_s):
                return await run_command(
                    arguments, texts.user, environment=environment, folder=room / "work", timeout_s=timeout_s
                )

    def _arguments(self, system: str, parameters: ModelRequestParameters) -> Sequence[str]:
        arguments = [
            str(self._route.command), "-p", "--output-format", "json", "--model", self._name, "--tools", "",
            "--no-session-persistence", "--setting-sources", "", "--strict-mcp-config",
            "--system-prompt", system or "Answer.",
        ]  # fmt: skip
        if self._route.effort is not None:
            arguments += ["--effort", self._route.effort]
        if parameters.output_object is not None:
            arguments += ["--json-schema", json.dumps(parameters.output_object.json_schema)]
        return arguments

    def _extra(self, settings: ModelSettings) -> dict[str, str]:
        extra = dict(_QUIET)
        if self._token is not None:
            extra[CLAUDE_TOKEN] = self._token.reveal()
        if self._route.base_url is not None:
            extra["ANTHROPIC_BASE_URL"] = self._route.base_url
        if (limit := settings.get("max_tokens")) is not None:
            extra["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(limit)
        return extra

    def _told(self, finished: Finished) -> dict[str, Any]:
        """The program's closing object, when it speaks of an answer; otherwise the failure that it speaks of."""
        told = _last_object(finished.out)
        if told is None:
            raise ModelConnectionError(self._name, f"claude ended with status {finished.status} and said nothing")
        if not told.get("is_error"):
            if finished.status != 0:
                raise ModelConnectionError(self._name, f"claude ended with status {finished.status}")
            return told
        words = str(told.get("result") or told.get("errors") or told.get("subtype") or "")
        status = told.get("api_error_status")
        if _says_exhausted(words.lower()):
            raise ModelQuotaExceededError(self._name, words)
        if isinstance(status, int):
            raise error_of_status(status, self._name, words)
        if str(told.get("subtype", "")).startswith("error_max"):
            raise UndocumentedReply(f"claude gave up: {told['subtype']}")
        raise ModelAPIError(self._name, words or "claude failed without a word")

    def _response(self, told: Mapping[str, Any]) -> ModelResponse:
        answer, usage = told.get("structured_output"), told.get("usage")
        if not isinstance(usage, dict):
            raise UndocumentedReply("claude did not say what it used")
        text = json.dumps(answer) if answer is not None else str(told.get("result") or "")
        try:
            used = _usage(usage)
        except TypeError as wrong:
            raise UndocumentedReply(f"claude counted wrongly: {wrong}") from wrong
        details = {"list_price_usd": _amount(told.get("total_cost_usd"))}
        return ModelResponse(
            parts=[TextPart(text)] if text else [],
            usage=used,
            model_name=self._name,
            provider_name=self.system,
            provider_details=details,
            finish_reason="stop",
        )


def _says_exhausted(words: str) -> bool:
    # A passing limit is announced as "temporarily limiting requests (not your usage limit)".
    spent = "usage limit" in words and "not your usage limit" not in words
    return spent or "credit balance" in words


def _last_object(out: bytes) -> dict[str, Any] | None:
    """The object on the program's output; the last one, when it prints a list."""
    found = object_of(out)
    if found is not None:
        return found
    try:
        listed = json.loads(out)
    except (ValueError, RecursionError):
        return None
    return listed[-1] if isinstance(listed, list) and listed and isinstance(listed[-1], dict) else None


def _usage(usage: Mapping[str, Any]) -> RequestUsage:
    read, written = count_of(usage, "cache_read_input_tokens"), count_of(usage, "cache_creation_input_tokens")
    return RequestUsage(
        input_tokens=count_of(usage, "input_tokens") + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=count_of(usage, "output_tokens"),
        cost=Decimal(0),
    )


def _amount(told: object) -> str | None:
    """USD as text; None where the program told no amount."""
    try:
        amount = Decimal(str(told))
    except InvalidOperation:
        return None
    return str(amount) if amount.is_finite() and amount >= 0 else None
