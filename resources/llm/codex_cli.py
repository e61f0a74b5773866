"""The `codex` program as a model: one question, one typed answer, paid by a subscription.

It works in an empty folder, read-only, without the user's configuration; its sign-in stays where `codex login` put it (CODEX_HOME,
or the folder .codex at home). The program names the cause of a failure in words only, so that every failed turn is a failure of the
route. It takes no limit of output tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelServerError,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from resources.llm.cli_words import Texts, as_route_failures, count_of, object_of, texts_of
from resources.llm.commands import Finished, empty_room, run_command, scrubbed_environment
from resources.llm.guarded import UndocumentedReply
from trading_assets.reasoning.settings import RouteSettings

KEY_VARIABLE = "CODEX_LOOPBACK_KEY"
_ALONE = (
    "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules", "--skip-git-repo-check", "-s", "read-only",
    "-c", "features.apps=false",
)  # fmt: skip
# What version 0.169.0 says of each status; anything else is a failure of the server.
_WORDS: Mapping[str, type[ModelAPIError]] = {
    "quota exceeded": ModelQuotaExceededError,
    "usage limit": ModelQuotaExceededError,
    "429": ModelRateLimitError,
    "401": ModelAuthenticationError,
    "does not exist": ModelNotFoundError,
    "at capacity": ModelOverloadedError,
}


class CodexCliModel(Model):
    """`codex exec`, once for each request."""

    def __init__(self, name: str, route: RouteSettings, environment: Mapping[str, str]) -> None:
        profile = ModelProfile(
            supports_json_schema_output=True,
            default_structured_output_mode="native",
            supports_tools=False,
            json_schema_transformer=OpenAIJsonSchemaTransformer,
        )
        super().__init__(profile=profile)
        self._name = name
        self._route = route
        self._environment = environment

    @property
    def model_name(self) -> str:
        """The model that the program is told to use."""
        return self._name

    @property
    def system(self) -> str:
        """The provider's name in responses."""
        return "codex-cli"

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
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        instructions = self._get_instruction_parts(messages, parameters) or []
        texts = texts_of(messages, [part.content for part in instructions])
        return self._response(await self._run(texts, parameters))

    async def _run(self, texts: Texts, parameters: ModelRequestParameters) -> Finished:
        words = f"{texts.system}\n\n{texts.user}" if texts.system else texts.user
        with empty_room() as room:
            arguments = [str(self._route.command), *self._arguments(room, parameters)]
            environment = scrubbed_environment(self._environment, room, {"CODEX_HOME": self._sign_in(room)})
            if self._route.base_url is not None:
                environment[KEY_VARIABLE] = "none"
            timeout_s = self._route.timeout_s
            with as_route_failures("codex", self._name, timeout_s):
                return await run_command(
                    arguments, words, environment=environment, folder=room / "work", timeout_s=timeout_s
                )

    def _sign_in(self, room: Path) -> str:
        """Where the program finds the subscription's sign-in; another address needs none."""
        if self._route.base_url is not None:
            return str(room / "home")
        default = Path(self._environment.get("HOME", str(room / "home"))) / ".codex"
        return self._environment.get("CODEX_HOME", str(default))

    def _arguments(self, room: Path, parameters: ModelRequestParameters) -> Sequence[str]:
        arguments = ["exec", *_ALONE, "-C", str(room / "work"), "-m", self._name]
        if self._route.effort is not None:
            arguments += ["-c", f'model_reasoning_effort="{self._route.effort}"']
        if self._route.base_url is not None:
            arguments += ["-c", 'model_provider="desk"', "-c", f"model_providers.desk={self._loopback()}"]
        if parameters.output_object is not None:
            schema = room / "schema.json"
            schema.write_text(json.dumps(parameters.output_object.json_schema))
            arguments += ["--output-schema", str(schema)]
        return [*arguments, "-"]

    def _loopback(self) -> str:
        return (
            f'{{name="desk",base_url="{self._route.base_url}",env_key="{KEY_VARIABLE}",wire_api="responses",'
            "request_max_retries=0,stream_max_retries=0,supports_websockets=false}"
        )

    def _response(self, finished: Finished) -> ModelResponse:
        text, usage, failed = None, None, None
        for event in _events(finished.out):
            match event.get("type"):
                case "item.completed" if _is_message(event):
                    text = str(event["item"].get("text", ""))
                case "turn.completed":
                    usage = event.get("usage")
                case "error" | "turn.failed":
                    failed = event  # an "error" alone may be mended within the turn
        if failed is not None and usage is None:
            self._fail(failed)
        if finished.status != 0 or usage is None:
            raise ModelConnectionError(self._name, f"codex ended with status {finished.status} in mid-turn")
        return ModelResponse(
            parts=[TextPart(text)] if text else [],
            usage=_usage(usage),
            model_name=self._name,
            provider_name=self.system,
            finish_reason="stop",
        )

    def _fail(self, event: Mapping[str, Any]) -> None:
        inner = event.get("error")
        words = str(inner.get("message", "") if isinstance(inner, dict) else event.get("message", ""))
        kind = next((kind for mark, kind in _WORDS.items() if mark in words.lower()), ModelServerError)
        raise kind(self._name, words or "codex failed without a word")


def _events(out: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects on the program's lines; other lines are its chatter."""
    for line in out.splitlines():
        event = object_of(line)
        if event is not None:
            yield event


def _is_message(event: Mapping[str, Any]) -> bool:
    item = event.get("item")
    return isinstance(item, dict) and item.get("type") == "agent_message"


def _usage(usage: object) -> RequestUsage:
    if not isinstance(usage, dict):
        raise UndocumentedReply("codex did not say what it used")
    try:
        return RequestUsage(
            input_tokens=count_of(usage, "input_tokens"),
            cache_read_tokens=count_of(usage, "cached_input_tokens"),
            output_tokens=count_of(usage, "output_tokens"),
            cost=Decimal(0),
        )
    except TypeError as wrong:
        raise UndocumentedReply(f"codex counted wrongly: {wrong}") from wrong
