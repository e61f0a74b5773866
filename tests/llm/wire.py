"""What the providers' interfaces look like on the wire, as far as the desk uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.llm.actions import STATUS, Action

Provider = Literal["anthropic", "openai", "gemini", "deepseek"]
Body = dict[str, Any]


@dataclass(frozen=True)
class Tokens:
    """Tokens of one reply; `input` includes those read from a cache and those written to it."""

    input: int
    cached: int
    output: int
    written: int = 0
    searches: int = 0


@dataclass(frozen=True)
class Turn:
    """One answer in no provider's words."""

    id: str
    model: str
    words: str
    tool: str | None
    action: Action
    tokens: Tokens


def anthropic_message(turn: Turn, tier: str = "standard") -> Body:
    """A Message of the Messages interface."""
    stops = {"end": "tool_use" if turn.tool else "end_turn", "length": "max_tokens", "refusal": "refusal"}
    message: Body = {
        "id": f"msg_{turn.id}",
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": _anthropic_content(turn),
        "stop_reason": stops[turn.action.stop],
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.tokens.input - turn.tokens.cached - turn.tokens.written,
            "cache_read_input_tokens": turn.tokens.cached,
            "cache_creation_input_tokens": turn.tokens.written,
            "output_tokens": turn.tokens.output,
            "service_tier": tier,
        },
    }
    if turn.action.stop == "refusal":
        message["stop_details"] = {"type": "refusal", "category": "general_harms", "explanation": "declined"}
    return message


def _anthropic_content(turn: Turn) -> list[Body]:
    if turn.tool is not None:
        return [{"type": "tool_use", "id": f"toolu_{turn.id}", "name": turn.tool, "input": turn.words}]
    return [{"type": "text", "text": turn.words}] if turn.words else []


def plain_anthropic(message: Body) -> Body:
    """The message with its tool input as an object, as the interface sends it outside a stream."""
    for block in message["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["input"])
    return message


def anthropic_events(message: Body) -> bytes:
    """The message as server-sent events."""
    usage = message["usage"]
    events: list[Body] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "stop_details": None}}
    ]
    for index, block in enumerate(message["content"]):
        is_tool = block["type"] == "tool_use"
        start = {**block, "input": {}} if is_tool else {"type": "text", "text": ""}
        delta = (
            {"type": "input_json_delta", "partial_json": block["input"]}
            if is_tool
            else {"type": "text_delta", "text": block["text"]}
        )
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    ending = {
        "stop_reason": message["stop_reason"],
        "stop_sequence": None,
        "stop_details": message.get("stop_details"),
    }
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": usage["output_tokens"]}})
    events.append({"type": "message_stop"})
    return sse(events)


def sse(events: list[Body]) -> bytes:
    """Server-sent events named by their type."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def openai_response(turn: Turn) -> Body:
    """A Response of the Responses interface."""
    item: Body = {"type": "message", "id": f"msg_{turn.id}", "role": "assistant", "status": "completed", "content": []}
    if turn.action.stop == "refusal":
        item["content"] = [{"type": "refusal", "refusal": "I cannot help with that."}]
    elif turn.tool is not None:
        call = {"id": f"fc_{turn.id}", "call_id": f"call_{turn.id}", "name": turn.tool, "arguments": turn.words}
        item = {"type": "function_call", "status": "completed", **call}
    elif turn.words:
        item["content"] = [{"type": "output_text", "text": turn.words, "annotations": []}]
    cut = turn.action.stop == "length"
    return {
        "id": f"resp_{turn.id}",
        "object": "response",
        "created_at": 1,
        "model": turn.model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": turn.tokens.input,
            "input_tokens_details": {"cached_tokens": turn.tokens.cached},
            "output_tokens": turn.tokens.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.tokens.input + turn.tokens.output,
        },
    }


def openai_events(response: Body) -> bytes:
    """The response as server-sent events, as the codex command reads it."""
    item = response["output"][0]
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    return sse(
        [
            {"type": "response.created", "response": started},
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
    )


def chat_completion(turn: Turn) -> Body:
    """A completion of the Chat Completions interface, as DeepSeek sends it."""
    message: Body = {"role": "assistant", "content": turn.words}
    reasons = {"end": "stop", "length": "length", "refusal": "content_filter"}
    reason = reasons[turn.action.stop]
    if turn.tool is not None:
        function = {"name": turn.tool, "arguments": turn.words}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"call_{turn.id}", "type": "function", "function": function}],
        }
        reason = "tool_calls" if reason == "stop" else reason
    return {
        "id": f"chat_{turn.id}",
        "object": "chat.completion",
        "created": 1,
        "model": turn.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": turn.tokens.input,
            "prompt_tokens_details": {"cached_tokens": turn.tokens.cached},
            "prompt_cache_hit_tokens": turn.tokens.cached,
            "prompt_cache_miss_tokens": turn.tokens.input - turn.tokens.cached,
            "completion_tokens": turn.tokens.output,
            "total_tokens": turn.tokens.input + turn.tokens.output,
        },
    }


def gemini_answer(turn: Turn) -> Body:
    """A GenerateContentResponse; with a search, its grounding."""
    counts = {
        "promptTokenCount": turn.tokens.input,
        "cachedContentTokenCount": turn.tokens.cached,
        "candidatesTokenCount": turn.tokens.output,
        "totalTokenCount": turn.tokens.input + turn.tokens.output,
    }
    common = {"usageMetadata": counts, "modelVersion": turn.model, "responseId": turn.id}
    if turn.action.stop == "refusal":
        return {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": [], **common}
    parts: list[Body] = [{"text": turn.words}] if turn.words else []
    if turn.tool is not None:
        parts = [{"functionCall": {"name": turn.tool, "args": json.loads(turn.words)}}]
    candidate: Body = {
        "content": {"role": "model", "parts": parts},
        "finishReason": {"end": "STOP", "length": "MAX_TOKENS"}[turn.action.stop],
    }
    if turn.tokens.searches:
        source = {"web": {"uri": "https://example.test/a", "title": "example.test"}}
        queries = [f"query {number}" for number in range(turn.tokens.searches)]
        candidate["groundingMetadata"] = {"webSearchQueries": queries, "groundingChunks": [source]}
    return {"candidates": [candidate], **common}


ANSWERS: Mapping[Provider, Callable[[Turn], Body]] = {
    "anthropic": anthropic_message,
    "openai": openai_response,
    "deepseek": chat_completion,
    "gemini": gemini_answer,
}


def anthropic_error(action: Action, request_id: str) -> tuple[int, Body]:
    """Status and error body of the Messages interface."""
    kinds = {
        "rate_limited": ("rate_limit_error", "Number of requests has exceeded your rate limit"),
        "overloaded": ("overloaded_error", "Overloaded"),
        "unauthorized": ("authentication_error", "invalid x-api-key"),
        "forbidden": ("permission_error", "Your key may not use this"),
        "unknown_model": ("not_found_error", "model: no such model"),
        "bad_request": ("invalid_request_error", "messages: at least one message is required"),
        "quota": ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        "no_credit": ("billing_error", "Your account has no credit"),
        "too_long": ("invalid_request_error", "prompt is too long: 900000 tokens > 200000 maximum"),
    }
    trouble = action.trouble or "server_error"
    kind, words = kinds.get(trouble, ("api_error", "Internal server error"))
    status = 400 if trouble == "quota" else STATUS[trouble]
    error = {"type": kind, "message": action.message or words}
    return status, {"type": "error", "error": error, "request_id": request_id}


def openai_error(action: Action, request_id: str) -> tuple[int, Body]:
    """Status and error body of the Responses and Chat Completions interfaces."""
    kinds = {
        "rate_limited": ("rate_limit_exceeded", "requests", "Rate limit reached"),
        "overloaded": ("server_is_overloaded", "service_unavailable_error", "Our servers are overloaded"),
        "unauthorized": ("invalid_api_key", "invalid_request_error", "Incorrect API key provided"),
        "forbidden": ("country_not_supported", "request_forbidden", "Not allowed here"),
        "unknown_model": ("model_not_found", "invalid_request_error", "The model does not exist"),
        "bad_request": ("invalid_value", "invalid_request_error", "Invalid value"),
        "quota": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
        "no_credit": ("insufficient_balance", "billing_error", "Insufficient Balance"),
        "too_long": ("context_length_exceeded", "invalid_request_error", "maximum context length is 128000 tokens"),
    }
    trouble = action.trouble or "server_error"
    code, kind, words = kinds.get(trouble, ("server_error", "server_error", "The server had an error"))
    status = 503 if trouble == "overloaded" else STATUS[trouble]
    return status, {"error": {"code": code, "type": kind, "param": None, "message": action.message or words}}


def gemini_error(action: Action, request_id: str) -> tuple[int, Body]:
    """Status and error body of a Google interface; its retry delay stands in the body."""
    kinds = {
        "rate_limited": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"),
        "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "unavailable": (503, "UNAVAILABLE", "The service is currently unavailable."),
        "unauthorized": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        "forbidden": (403, "PERMISSION_DENIED", "The caller does not have permission"),
        "unknown_model": (404, "NOT_FOUND", "models/x is not found"),
        "bad_request": (400, "INVALID_ARGUMENT", "Invalid argument"),
        "quota": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        "no_credit": (400, "FAILED_PRECONDITION", "Please enable billing on your project"),
        "too_long": (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed"),
        "odd": (418, "UNKNOWN", "I am a teapot"),
    }
    trouble = action.trouble or "server_error"
    status, name, words = kinds.get(trouble, (500, "INTERNAL", "An internal error has occurred"))
    details: list[Body] = []
    if trouble == "unauthorized":
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})
    if trouble == "quota":
        violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]})
    retry_after = dict(action.headers).get("retry-after", "")
    if retry_after.isdigit():
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after}s"})
    error = {"code": status, "status": name, "message": action.message or words, "details": details}
    return status, {"error": error}


ERRORS: Mapping[Provider, Callable[[Action, str], tuple[int, Body]]] = {
    "anthropic": anthropic_error,
    "openai": openai_error,
    "deepseek": openai_error,
    "gemini": gemini_error,
}
