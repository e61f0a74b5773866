"""What an order would do to the margins of the paper account."""

from resources.brokers.paper.book import INITIAL_MARGIN, MAINTENANCE_MARGIN, ZERO, Book, Costs, fee
from resources.brokers.paper.refusals import refused
from trading_assets.broker.model import MarginImpact, OrderRequest
from trading_assets.core.money import usd


def impact_of(order: OrderRequest, book: Book, costs: Costs) -> MarginImpact:
    """The margins when all of it has filled at its price, or at the far side; unset where the market has never shown."""
    problem = refused(order, book, client_id=0, taken=frozenset(), costs=costs)
    symbol = order.contract.symbol
    price = order.limit_price or order.stop_price or book.price(symbol, order.side)
    if price is None or (problem is not None and problem.code != 201):
        return MarginImpact(None, None, None, warning=problem.text if problem else f"there is no price of {symbol}")
    signed = order.quantity if order.side == "buy" else -order.quantity
    others = sum((abs(book.value(holding)) for name, holding in book.holdings.items() if name != symbol), ZERO)
    gross = others + abs(price * (book.held(symbol) + signed))
    equity, charged = book.values().equity or ZERO, fee(costs, price, order.quantity)
    return MarginImpact(
        initial_margin_after=usd(INITIAL_MARGIN * gross),
        maintenance_margin_after=usd(MAINTENANCE_MARGIN * gross),
        equity_after=usd(equity - charged),
        commission=charged,
        warning=problem.text if problem else "",
    )
