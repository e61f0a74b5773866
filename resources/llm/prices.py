"""What a call costs: list prices out of the bundled table of genai-prices, exact, rounded up to the billionth of a dollar.

The table is data inside the package: nothing here opens a connection. A model that the table does not name has no price, and a
route without a price must not be asked. Prices are dated and some change with the hour, so the request's moment is an argument.
A subscription route costs 0; its list price is kept as a shadow.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Context, Decimal
from typing import TYPE_CHECKING

from trading_assets.reasoning.model import RouteName, Usage
from trading_assets.reasoning.settings import RouteSettings

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

SUBSCRIPTIONS: frozenset[RouteName] = frozenset({"claude-cli", "codex-cli"})
CACHED_BY_US: frozenset[RouteName] = frozenset({"anthropic"})
# How many searches one grounded answer is reserved for; a model that searches more often is booked in full all the same.
SEARCHES_BOUND = 3
# Between the reserve and the answer a price may change with the hour.
PRICE_HORIZON = timedelta(minutes=10)
# What providers add around a prompt: roles, and the words that introduce a schema or a tool.
FRAMING_TOKENS = 600
OUTPUT_TOKENS_ANY = 1_000_000

_PROVIDERS: Mapping[RouteName, str] = {
    "claude-cli": "anthropic",
    "codex-cli": "openai",
    "anthropic": "anthropic",
    "openai": "openai",
    "gemini": "google",
    "deepseek": "deepseek",
}
_BILLIONTH = Decimal(1).scaleb(-9)
_EXACT = Context(prec=60, rounding=ROUND_UP)
_VERSION = re.compile(r"-[0-9][0-9-]*|-latest")
_LETTERS = (string.ascii_letters + " ").encode()


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer used and cost, USD to the billionth; `shadow_usd` is the list price of a subscription route."""

    usage: Usage
    cost_usd: Decimal
    shadow_usd: Decimal


def cost_of(
    route: RouteSettings,
    model: str,
    usage: Usage,
    *,
    at: datetime,
    batch: bool = False,
    written_tokens: int = 0,
    searches: int = 0,
) -> Decimal | None:
    """USD for the usage at that moment; None where the price is unknown, or the usage is none that a price exists for.

    `written_tokens` are the input tokens that were written to a prompt cache (Anthropic charges a quarter more for them).
    """
    price = list_price(route, model, usage, at=at, batch=batch, written_tokens=written_tokens, searches=searches)
    return Decimal(0) if route.name in SUBSCRIPTIONS else price


def list_price(
    route: RouteSettings,
    model: str,
    usage: Usage,
    *,
    at: datetime,
    batch: bool = False,
    written_tokens: int = 0,
    searches: int = 0,
) -> Decimal | None:
    """The same without regard to subscriptions."""
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    if at.tzinfo is None:
        return None
    try:
        priced = calc_price(
            Priced(
                input_tokens=usage.input_tokens,
                cache_read_tokens=usage.cached_tokens,
                cache_write_tokens=written_tokens,
                output_tokens=usage.output_tokens,
                web_searches=searches,
            ),
            model,
            provider_id=_PROVIDERS[route.name],
            genai_request_timestamp=at.astimezone(UTC),
            price_context={"processing": "batch"} if batch else None,
        )
    except (LookupError, ValueError):
        return None
    # The table finds models by patterns and takes gemini-3.8-flash-lite for gemini-3.8-flash.
    if model != priced.model.id and not _VERSION.fullmatch(model.removeprefix(priced.model.id)):
        return None
    return priced.total_price.quantize(_BILLIONTH, context=_EXACT)


def bill_of(
    route: RouteSettings, model: str, response: ModelResponse, *, at: datetime, batch: bool = False
) -> Bill | None:
    """What an answer that arrived cost, with cache writes and searches; None: unknown, so the whole reserve counts as spent."""
    told = response.usage
    usage = Usage(told.input_tokens, told.cache_read_tokens, told.output_tokens)
    if usage.input_tokens <= 0:
        return None  # every request has input: a server that reports none has not said what it charges for
    price = list_price(
        route,
        model,
        usage,
        at=at,
        batch=batch,
        written_tokens=told.cache_write_tokens,
        searches=int(getattr(told, "web_searches", 0) or 0),
    )
    if route.name in SUBSCRIPTIONS:
        return Bill(usage, Decimal(0), price if price is not None else _told_price(response))
    return None if price is None else Bill(usage, price, Decimal(0))


def _told_price(response: ModelResponse) -> Decimal:
    """The list price that a command told by itself, or 0 when it told none."""
    told = (response.provider_details or {}).get("list_price_usd")
    return Decimal(0) if told is None else Decimal(str(told)).quantize(_BILLIONTH, context=_EXACT)


def most_of(
    route: RouteSettings, model: str, input_tokens: int, output_tokens: int, *, at: datetime, batch: bool = False
) -> Decimal | None:
    """What to reserve: the most that a call with so many tokens can cost, USD; None where the price is unknown.

    All input counts as written to the prompt cache where the desk asks for caching, a search route as searching `SEARCHES_BOUND`
    times, and the dearest price of the next minutes holds.
    """
    usage = Usage(input_tokens, 0, output_tokens)
    written = input_tokens if route.name in CACHED_BY_US else 0
    searches = SEARCHES_BOUND if route.search else 0
    prices = [
        cost_of(route, model, usage, at=moment, batch=batch, written_tokens=written, searches=searches)
        for moment in (at, at + PRICE_HORIZON)
    ]
    known = [price for price in prices if price is not None]
    return max(known) if len(known) == len(prices) else None


def output_tokens_within(
    route: RouteSettings, model: str, left_usd: Decimal, input_tokens: int, *, at: datetime
) -> int:
    """The most output tokens with which `most_of` stays within the money; 0 where nothing fits or the price is unknown."""
    nothing = most_of(route, model, input_tokens, 0, at=at)
    dearest = most_of(route, model, input_tokens, OUTPUT_TOKENS_ANY, at=at)
    if nothing is None or dearest is None or nothing > left_usd:
        return 0
    if dearest <= left_usd:
        return OUTPUT_TOKENS_ANY
    guess = int((left_usd - nothing) / (dearest - nothing) * OUTPUT_TOKENS_ANY)
    return _corrected(guess, lambda tokens: _fits(most_of(route, model, input_tokens, tokens, at=at), left_usd))


def _fits(price: Decimal | None, left_usd: Decimal) -> bool:
    return price is not None and price <= left_usd


def _corrected(guess: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits: the guess where the price is a straight line, by halving where it is not."""
    low, high = (guess, guess + 1) if fits(guess) else (0, guess)
    if low and fits(high):
        low, high = high, OUTPUT_TOKENS_ANY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def input_tokens_bound(text: str) -> int:
    """Tokens that no tokeniser in use exceeds for the desk's prompts (system, user and schema together).

    Byte-level tokenisers never make more tokens than bytes; digits, punctuation and everything beyond ASCII may come close to that
    (some models read each digit alone), so they count whole. Letters and blanks of English words and field names take three to five
    bytes for a token and count half. A text of random letters could exceed the bound: then the call costs more than was reserved,
    is booked in full, and the next call finds that much less in its pockets.
    """
    encoded = text.encode()
    dense = len(encoded.translate(None, _LETTERS))
    return dense + (len(encoded) - dense + 1) // 2 + FRAMING_TOKENS
