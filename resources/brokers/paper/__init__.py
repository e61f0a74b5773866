"""The paper broker: an account in a file that several processes share, and quotes from a feed."""

from resources.brokers.paper.broker import PaperBroker

__all__ = ["PaperBroker"]
