"""Two sums over questions that are asked side by side: is one prompt for all of them cheaper, and how much may each one reserve.

Neither decides what is right, only what is paid: the meter holds every pocket whatever is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from resources.llm.inquiry import Inquiry
from resources.llm.meter import TokenRange
from resources.llm.panels import Panel
from resources.llm.prices import input_tokens_bound, list_price, most_of
from resources.llm.recording import Candidate
from trading_assets.reasoning.model import Budget, RouteName, Usage
from trading_assets.reasoning.settings import BudgetSettings

AnyInquiry = Inquiry[Any, Any]
BYTES_PER_TOKEN = 4
# The id, the names of the two fields and their brackets around each answer of a panel.
ITEM_TOKENS = 12
# No interface in use answers more without a stream.
PANEL_TOKENS_MAX = 16_000
_NOTHING = Decimal(0)


def tokens_for(inquiry: AnyInquiry, limits: BudgetSettings) -> TokenRange:
    """Output tokens for a question; a panel needs those of all its items."""
    most, least = limits.output_tokens_max * inquiry.size, limits.output_tokens_min * inquiry.size
    return TokenRange(most if inquiry.size == 1 else max(min(most, PANEL_TOKENS_MAX), least), least)


def cheaper_together(
    panel: Panel,
    *,
    ready: Collection[RouteName],
    limits: BudgetSettings,
    in_cache: Callable[[Candidate, AnyInquiry], int],
    at: datetime,
) -> bool:
    """Whether the panel is expected to cost less than its items alone, at the first model that can be asked.

    A token for four bytes of prompt, answers half-way between the shortest and the longest allowed. Input counts at the cached
    price only as far as `in_cache` knows it to be in the provider's cache: items asked side by side find nothing there that an
    earlier answer has not left. A subscription's list price decides.
    """
    answer = (limits.output_tokens_min + limits.output_tokens_max) // 2

    def expected(candidate: Candidate, inquiry: AnyInquiry, output_tokens: int) -> Decimal | None:
        tokens = len(inquiry.text.encode()) // BYTES_PER_TOKEN
        usage = Usage(tokens, min(tokens, in_cache(candidate, inquiry)), output_tokens)
        return list_price(candidate.route, candidate.model, usage, at=at)

    for candidate in panel.candidates:
        if candidate.route.name in ready:
            together = expected(candidate, panel, panel.size * (answer + ITEM_TOKENS))
            alone = [expected(candidate, item, answer) for item in panel.items]
            known = [price for price in alone if price is not None]
            if together is not None and len(known) == len(alone):
                return together < sum(known, _NOTHING)
    return False


def shared_tokens(
    inquiries: Sequence[AnyInquiry],
    *,
    ready: Collection[RouteName],
    limits: BudgetSettings,
    left_of: Callable[[Budget], Decimal],
    at: datetime,
) -> list[TokenRange]:
    """Output tokens for each question, so that those on one budget can all be reserved at once.

    What is left beyond everybody's least is shared in proportion to what everybody would like. Where even the least does not fit
    for all, each gets that, and the budget decides.
    """
    shared = [tokens_for(inquiry, limits) for inquiry in inquiries]
    by_budget: dict[Budget, list[int]] = {}
    for place, inquiry in enumerate(inquiries):
        by_budget.setdefault(inquiry.budget, []).append(place)
    for budget, places in by_budget.items():
        if len(places) > 1:
            bounds = [_bounds(inquiries[place], shared[place], ready, at) for place in places]
            share = _share(bounds, left_of(budget))
            for place in places:
                most, least = shared[place].most, shared[place].least
                shared[place] = TokenRange(least + int(max(0, most - least) * share), least)
    return shared


def _share(bounds: Sequence[tuple[Decimal, Decimal]], left: Decimal) -> Decimal:
    """Which part, 0 to 1, of what everybody would like above the least there is money for."""
    least, most = (sum(amounts, _NOTHING) for amounts in zip(*bounds, strict=True))
    if most <= left or most <= least:
        return Decimal(1)
    return max(_NOTHING, (left - least) / (most - least))


def _bounds(
    inquiry: AnyInquiry, tokens: TokenRange, ready: Collection[RouteName], at: datetime
) -> tuple[Decimal, Decimal]:
    """What is reserved for the shortest and the longest answer, USD; nothing where no model can be asked."""
    bound = input_tokens_bound(inquiry.text)
    for candidate in inquiry.candidates:
        if candidate.route.name in ready:
            least = most_of(candidate.route, candidate.model, bound, tokens.least, at=at)
            most = most_of(candidate.route, candidate.model, bound, tokens.most, at=at)
            if least is not None and most is not None:
                return least, most
    return _NOTHING, _NOTHING
