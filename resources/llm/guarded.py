"""The model behind a route, so that a reply that no interface documents is a failure of the route and never a crash of the desk.

The providers' libraries read replies without checking them: a field that is missing or of another type surfaces as a TypeError
somewhere inside. Whether a reply had arrived decides: after it, such an error is the reply's fault; before it, it is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx2
from pydantic_ai.exceptions import AgentRunError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import TextPart, ToolCallPart
from pydantic_ai.models.wrapper import WrapperModel

from resources.llm.keys import scrubbed

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.models.batch import Batch, BatchRequest, BatchResult, EncodedBatchRequest
    from pydantic_ai.settings import ModelSettings


class UndocumentedReply(UnexpectedModelBehavior):
    """A reply came that is not what the interface documents: the route is at fault, not the answer."""


# What reading a reply of another shape raises. UserError is a RuntimeError and stays a bug.
_MISREAD = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError, AssertionError, RecursionError)
_replies: ContextVar[list[int] | None] = ContextVar("_replies", default=None)


class RouteModel(WrapperModel):
    """A route's model. It holds connections: use it on one event loop and close it there.

    Every method that asks the provider raises `UndocumentedReply` where a reply came and cannot be read, and shows no key.
    """

    def __init__(self, wrapped: Model, client: httpx2.AsyncClient | None = None) -> None:
        super().__init__(wrapped)
        self._client = client
        if client is not None:
            client.event_hooks = {**client.event_hooks, "response": [*client.event_hooks["response"], _note_reply]}

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """See the base class."""
        with _reading():
            return _checked(await super().request(messages, model_settings, model_request_parameters))

    async def batch_create(self, requests: Sequence[EncodedBatchRequest]) -> Batch:
        """See the base class."""
        with _reading():
            return await super().batch_create(requests)

    async def batch_status(self, batch: Batch) -> Batch:
        """See the base class."""
        with _reading():
            return await super().batch_status(batch)

    async def batch_results(self, batch: Batch) -> list[BatchResult]:
        """See the base class."""
        with _reading():
            return await super().batch_results(batch)

    def batch_decode(self, result: BatchResult, request: BatchRequest) -> ModelResponse:
        """See the base class."""
        with _reading(arrived=True):
            return _checked(super().batch_decode(result, request))

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()


@contextmanager
def _reading(*, arrived: bool = False) -> Iterator[None]:
    """Tells errors in a reply from errors of ours."""
    replies = [200] if arrived else []
    token = _replies.set(replies)
    try:
        yield
    except AgentRunError as told:
        raise _without_keys(told) from told.__cause__
    except UserError:
        raise
    except httpx2.HTTPError as broken:
        raise UndocumentedReply(f"the route's reply cannot be read ({type(broken).__name__})") from broken
    except _MISREAD as misread:
        if not replies:
            raise
        raise UndocumentedReply(
            f"the route sent a reply that its interface does not document ({type(misread).__name__})"
        ) from misread
    finally:
        _replies.reset(token)


def _without_keys(error: AgentRunError) -> AgentRunError:
    """The same error; where a provider repeated a key in its words, without these words and what led to them."""
    texts = [str(error), repr(getattr(error, "body", "")), str(error.__cause__), str(error.__context__)]
    if all(scrubbed(text) == text for text in texts):
        return error
    error.message = scrubbed(error.message)
    error.args = (error.message,)
    if hasattr(error, "body"):
        error.body = None
    error.__cause__ = error.__context__ = None
    return error


async def _note_reply(response: Any) -> None:
    arrived = _replies.get()
    if arrived is not None:
        arrived.append(response.status_code)


def _checked(response: ModelResponse) -> ModelResponse:
    """The response, when its parts and its counts are of the types that they claim to be."""
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    texts += [part.tool_name for part in response.parts if isinstance(part, ToolCallPart)]
    told = response.usage
    counts = [told.input_tokens, told.output_tokens, told.cache_read_tokens, told.cache_write_tokens]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text that is none")
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("a count of tokens that is none")
    return response
