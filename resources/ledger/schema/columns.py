"""Column types that every database keeps alike: exact money, text that sorts by code point, identities that never return."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import PLACES

METADATA = sa.MetaData()
CALL_PLACES = 9
_SCALED_MAX = 2**63 - 1
# Instants are compared as text; a database's own collation may sort "T", "+" and ":" otherwise.
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# SQLite counts rows by itself only in a column of the type INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class ExactUsd(sa.types.TypeDecorator[Decimal]):
    """USD with a fixed number of places, stored as a whole number, so that every database keeps it exactly."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To units of the last place; an amount that the column cannot hold to the last place is a bug and is refused."""
        if value is None:
            return None
        if not value.is_finite():
            raise PermanentFailure("an amount that is not finite cannot be booked", value=value)
        # Decimal arithmetic would round to the context's precision before the places can be counted.
        scaled = Fraction(value) * 10**self.places
        if scaled.denominator != 1:
            raise PermanentFailure(
                "an amount has too many places to be booked", value=value, bound=f"{self.places} places"
            )
        if abs(scaled) > _SCALED_MAX:
            raise PermanentFailure(
                "an amount is too large to be booked", value=value, bound=f"{_SCALED_MAX} / 10^{self.places}"
            )
        return int(scaled)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Back to USD."""
        return None if value is None else Decimal(value).scaleb(-self.places)


Usd = ExactUsd(PLACES)
# One cached token of the cheapest model costs 1e-8 USD: what a call costs is booked to the billionth, rounded up.
CallUsd = ExactUsd(CALL_PLACES)
