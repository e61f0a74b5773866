"""What batches need of pydantic-ai beside its models: a request caught before it is sent, and the provider's list of batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import cast

from anthropic import AsyncAnthropic
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.batch import Batch, BatchStatus
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from resources.llm.guarded import RouteModel

_PAGE = 100


class Caught(BaseException):
    """A request on its way to a model. No `Exception`, so that nobody takes it for a failure to be mended."""

    def __init__(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> None:
        super().__init__("caught")
        self.messages = messages
        self.settings = settings
        self.parameters = parameters


class Catcher(WrapperModel):
    """A model that sends nothing and raises what it was to send."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Always raises `Caught`."""
        raise Caught(messages, model_settings, model_request_parameters)


async def listed(model: RouteModel, name: str, group: str, *, since: datetime) -> AsyncIterator[Batch]:
    """The account's batches that were made since then, newest first."""
    wrapped = cast(AnthropicModel, model.wrapped)
    client = cast(AsyncAnthropic, wrapped.client)
    async for found in client.messages.batches.list(limit=_PAGE):
        if found.created_at < since:
            return
        counts = found.request_counts
        status: BatchStatus = "ended" if found.processing_status == "ended" else "in_progress"
        yield Batch(
            id=found.id,
            model_name=name,
            provider_name=wrapped.system,
            group=group,
            status=status,
            created_at=found.created_at,
            request_count=counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired,
        )
