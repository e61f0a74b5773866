"""Marks on the fields of a role's inputs and output: what masking hides and what fencing wraps.

A field says what it is in its annotation, for example `symbol: Annotated[str, Mark.SYMBOL]`. Dates and instants need no mark: their
type says it.
"""

from enum import Enum


class Mark(Enum):
    """What a field holds."""

    SYMBOL = "symbol"  # a ticker or a company's name: hidden behind ASSET_A, ASSET_B, …
    LEVEL = "level"  # a price or another number in units of the price: rebased so that the first of its kind is 100
    UNTRUSTED = "untrusted"  # text from outside (headlines, filings): sanitised, fenced and labelled as data
