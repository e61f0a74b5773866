"""What a headline says to a reader with a list of words: for or against, as a fact or as a rumour. English of the financial press.

The words are counted, not understood: irony, rivals and numbers escape the list. It is the baseline that a model has to beat, and
no headline can order it about, because it obeys no sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_STRONG, _PLAIN, _WEAK = 1.0, 0.6, 0.3
_REACH = 4
# Good news undone is bad; bad news denied or undone is only less bad.
_GOOD_UNDONE, _BAD_UNDONE = 0.8, 0.4
_WORD = re.compile(r"[a-z][a-z'\-]*")
_CLAUSE = re.compile(r"[,;:.!?\u2013\u2014]")

_GOOD: Mapping[float, str] = {
    _STRONG: "takeover|buyout|breakthrough|outperform|all-time high|record profit|record sales|above expectations"
    "|better than expected|tops estimates|beats estimates",
    _PLAIN: "acquire|acquisition|merger|bid|stake|premium|approve|approval|clearance|win|won|award|contract|order|surge|soar"
    "|rally|jump|beat|exceed|upgrade|growth|grow|expand|expansion|strong|stronger|profit|profitable|buyback|repurchase"
    "|partnership|alliance|pass|succeed|success|successful|promising|gain|rise|rose|boost|rebound|recover|recovery"
    "|best|robust|accelerate|breakthroughs|vindicate|acquit",
    _WEAK: "dividend|agree|settle|settlement|deal|launch|positive|improve|improvement|optimistic|favourable|favorable|bonus"
    "|higher|demand|milestone|innovation|confident|support|welcome|offer",
}
_BAD: Mapping[float, str] = {
    _STRONG: "fraud|bankruptcy|insolvency|insolvent|default|delist|below expectations|worse than expected|misses estimates"
    "|falls short|fall short|profit warning|ponzi|embezzle|going concern",
    _PLAIN: "recall|probe|inquiry|investigate|investigation|looks into|look into|looking into|subpoena|prosecutor|lawsuit|sue"
    "|suit|fine|penalty|indict|charge|accuse|allege|allegation|guilty|antitrust|regulator|warn|warning|miss|shortfall|plunge"
    "|slump|tumble|fall|fell|sink|sank|decline|weak|weaker|weakness|downgrade|layoff|cut jobs|job cuts|strike|defect|fault"
    "|flaw|breach|hack|hacker|steal|stolen|leak|delay|postpone|restate|restatement|write-down|writedown|write off|writes off"
    "|resign|quit|struggle|loss|risk|threat|threaten|crash|accident|outage|shutdown|ban|sanction|boycott|dispute|scandal"
    "|misconduct|doubt|concern|fear|injunction|infringe|infringement|violate|violation|step down|steps down",
    _WEAK: "debt|refinance|cost|slow|slowdown|pressure|uncertain|uncertainty|negative|cautious|competition|burden"
    "|problem|trouble|difficult|difficulty|complaint|critic|criticise|criticize|error|mistake|worse",
}
# What turns the next word of its clause round; with none in reach it speaks for itself.
_TURNS: Mapping[float, str] = {
    0.0: "no|not|never|without|neither|nor|hardly|deny|dismiss|avoid|avert|escape|end|settle claims|resolve|overcome|withstand",
    -0.5: "cut|reduce|trim|slash|lower|call off|calls off|called off|suspend",
    -0.6: "lose|lost|reject|refuse|fail|cancel|scrap|abandon|withdraw|block|drop|halt|terminate",
}
# What adds weight only where nothing else in reach says in which direction.
_RAISES: Mapping[float, str] = {0.5: "raise|lift|increase|double"}
_RUMOUR = (
    "said to|people familiar|person familiar|sources say|sources said|source says|sources|insider|insiders|reportedly|rumour|rumor"
    "|speculation|may|might|could|consider|weigh|mull|explore|talks|in talks|close to|near|nears|nearing|expected to|likely"
    "|set to|about to|prepare|plans to|looks into|looking into|look into|according to|reports say|newspaper|hint|believe|believed"
    "|approach|possible|potential|seek|eye|unconfirmed|whisper|poised to|on the verge|suppliers say|lenders say|tell"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What one headline says.

    Args:
        score: -1 (bad for the symbol) to 1 (good); 0 when it says neither.
        rumour: It is told as something that has not been confirmed or has not happened yet.
        words: The words that decided the score, as they stand in the list.
    """

    score: float
    rumour: bool
    words: tuple[str, ...]


@lru_cache(maxsize=8192)
def read(headline: str) -> Told:
    """What a headline says by the list; the same text always says the same."""
    plain = headline.lower().replace("\u2019", "'")
    clauses = [_WORD.findall(clause) for clause in _CLAUSE.split(plain)]
    weighed = [one for tokens in clauses for one in _weighed(tokens)]
    score = max(-1.0, min(1.0, sum(weight for _, weight in weighed)))
    rumour = any(map(_has_rumour, clauses))
    return Told(round(score, 6), rumour, tuple(word for word, weight in weighed if weight))


def _weighed(tokens: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Each word of the list with its weight in this clause.

    A turn reverses what stands within four words behind it, a lift gives way to it; with nothing there both speak for themselves.
    """
    hits = list(_hits(tokens))
    turned = -1
    for place, word, kind, weight in hits:
        behind = [at for at, _, other, _ in hits if other == "word" and place < at <= place + _REACH]
        if kind == "word":
            yield word, weight if place > turned else _undone(weight)
        elif kind == "turn" and behind:
            turned = place + _REACH
        elif not behind:
            yield word, weight


def _undone(weight: float) -> float:
    return -weight * (_GOOD_UNDONE if weight > 0 else _BAD_UNDONE)


def _hits(tokens: Sequence[str]) -> Iterator[tuple[int, str, str, float]]:
    """Place, word, kind and weight of each entry of the list, the longest that fits first."""
    place = 0
    while place < len(tokens):
        for length in (3, 2, 1):
            spelled = " ".join(tokens[place : place + length])
            if length <= len(tokens) - place and spelled in _LIST:
                yield place, *_LIST[spelled]
                place += length
                break
        else:
            place += 1


def _has_rumour(tokens: Sequence[str]) -> bool:
    pairs = (" ".join(pair) for pair in pairwise(tokens))
    return any(word in _RUMOURS for word in tokens) or any(pair in _RUMOURS for pair in pairs)


def _forms(word: str) -> Iterator[str]:
    """The word with the endings of English; a form that nobody writes does no harm."""
    yield word
    if " " in word:
        return
    stem = word[:-1] if word.endswith("e") else word
    yield from (f"{word}s", f"{word}es", f"{stem}ed", f"{stem}ing", f"{word}'s")
    if word.endswith("y"):
        yield from (f"{word[:-1]}ies", f"{word[:-1]}ied")
    if word[-1] in "bgnpt":
        yield from (f"{word}{word[-1]}ed", f"{word}{word[-1]}ing")


def _listed() -> dict[str, tuple[str, str, float]]:
    """Every form of every word; where two claim a form, the first in the order below keeps it."""
    found: dict[str, tuple[str, str, float]] = {}
    kinds = (("turn", _TURNS, 1.0), ("lift", _RAISES, 1.0), ("word", _BAD, -1.0), ("word", _GOOD, 1.0))
    for kind, weights, sign in kinds:
        for weight, words in weights.items():
            for word in words.split("|"):
                for form in _forms(word):
                    found.setdefault(form, (word, kind, sign * weight))
    return found


_LIST: Mapping[str, tuple[str, str, float]] = _listed()
_RUMOURS = frozenset(form for word in _RUMOUR.split("|") for form in _forms(word))
