"""When enough voices were heard, and agree enough, to open anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_assets.briefs.settings import AgentsSettings
from trading_assets.plans.ensemble import Tally


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an idea is not traded; `silence` when too few spoke, which the journal must say."""

    sentence: str
    silence: bool = False


def too_few_analysts(symbols: Sequence[str], heard: Mapping[str, int], agents: AgentsSettings) -> Refusal | None:
    """The refusal for a symbol on which fewer analysts spoke than the quorum asks for."""
    least = agents.quorum.analysts_min
    fewest = min((heard.get(symbol, 0), symbol) for symbol in symbols)
    return (
        Refusal(f"quorum {fewest[0]} of {least} analysts on {fewest[1]}", silence=True) if fewest[0] < least else None
    )


def refused(symbols: Sequence[str], tally: Tally, heard: Mapping[str, int], agents: AgentsSettings) -> Refusal | None:
    """The refusal for an idea that lacks analysts, personas or their agreement; None when it has all three."""
    voted, least = len(tally.votes), agents.quorum.personas_min
    if voted < least or tally.consensus is None:
        return Refusal(f"quorum {voted} of {least} votes", silence=True)
    silent = too_few_analysts(symbols, heard, agents)
    if silent is not None:
        return silent
    if tally.consensus < agents.consensus_min:
        return Refusal(f"consensus {tally.consensus:g} below {agents.consensus_min:g}")
    return None
