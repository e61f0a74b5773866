"""Every injection of the corpus, in its position: quoted data is what reaches the prompt, a bounded opinion what comes back."""

import json
import re
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.reasoning.injecting import FILES_OF_SKILLS, Item, corpus, folded, made, read, written
from tests.reasoning.obeying import (
    INPUTS,
    echo,
    line_that_stops,
    stopped_by_citation,
    stopped_by_type,
    stopped_by_words,
)
from tests.reasoning.outside import DOCTRINE, PROJECT, Question, asking, news_skill
from tests.reasoning.shelves import SKILL, put
from trading_assets.briefs.roles import NewsInputs, Opinion
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.reasoning.fencing import FENCED_CHARACTERS_MAX, clean_output
from trading_assets.reasoning.prompts import INPUTS_HEAD, USER_CHARACTERS_MAX, Prompt, render
from trading_assets.reasoning.sanitising import plain
from trading_assets.reasoning.skills import SkillShelf, UnknownSkill, read_skill

FENCE = re.compile(
    r"\[\[data (?P<token>[0-9a-f]{16}) from (?P<source>[\w.-]+)(?:, found (?P<flags>[a-z -]+))?\]\] "
    r"(?P<text>.*) \[\[/data (?P=token)\]\]"
)
ITEMS = pytest.mark.parametrize("item", corpus(), ids=lambda item: item.id)
BLANK = {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u2800\u3164\uffa0",
}
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
SYSTEM = render(news_skill(), DOCTRINE, INPUTS, Opinion).system


@cache
def rendered(item: Item) -> Prompt:
    return render(news_skill(), DOCTRINE, asking(item.position, storable(item)), Opinion)


def storable(item: Item) -> tuple[str, ...]:
    """Half a character is no text: the types refuse it, so it is replaced as a decoder would."""
    return tuple(text.encode("utf-8", "replace").decode() for text in item.texts)


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for inner in pair for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def fences(prompt: Prompt) -> list[re.Match[str]]:
    told = json.loads(prompt.user.removeprefix(INPUTS_HEAD))
    return [found for text in strings(told) if (found := FENCE.fullmatch(text))]


def test_the_corpus_is_large_enough_and_no_two_items_are_alike() -> None:
    by_hand = len(written()) + sum(len(read(file)) for file in FILES_OF_SKILLS)
    assert by_hand >= 200
    assert by_hand + len(made()) >= 300
    assert len({item.texts for item in corpus()}) == len(corpus())
    assert len({item.language for item in corpus()}) >= 15
    assert Counter(item.position for item in corpus()).keys() == {
        *("headline", "body", "filing", "description", "tool_result", "memory")
    }


@ITEMS
@pytest.mark.fault(96)
def test_the_text_stays_inside_its_fence(item: Item) -> None:
    prompt = rendered(item)
    assert prompt.user.count("[[data ") == prompt.user.count("[[/data ") == len(fences(prompt)) >= 1
    for fence in fences(prompt):
        assert "[[" not in fence["text"]
        assert "]]" not in fence["text"]
        assert fence["token"] not in fence["text"]
        assert len(fence["text"]) <= FENCED_CHARACTERS_MAX


@ITEMS
@pytest.mark.fault(96)
def test_neither_the_instructions_nor_the_facts_beside_it_change(item: Item) -> None:
    prompt = rendered(item)
    clean = json.loads(render(news_skill(), DOCTRINE, Question(), Opinion).user.removeprefix(INPUTS_HEAD))
    told = json.loads(prompt.user.removeprefix(INPUTS_HEAD))
    assert prompt.system == SYSTEM
    assert told.keys() == clean.keys()
    assert {key: told[key] for key in told if key != item.position} == {
        key: clean[key] for key in clean if key != item.position
    }


@ITEMS
@pytest.mark.fault(96)
def test_nothing_invisible_and_nothing_to_follow_reaches_the_prompt(item: Item) -> None:
    user = rendered(item).user.removeprefix(INPUTS_HEAD)
    assert {unicodedata.category(character) for character in user} & INVISIBLE == set()
    assert set(user) & BLANK == set()
    assert re.search(r"https?://|www\.|\]\(|<[a-z/!]", user, re.IGNORECASE) is None
    assert [gone for gone in item.gone if folded(gone) in folded(user)] == []
    assert len(user) <= USER_CHARACTERS_MAX


@ITEMS
@pytest.mark.fault(96)
def test_what_was_found_is_named_beside_the_text(item: Item) -> None:
    found = {flag for fence in fences(rendered(item)) for flag in (fence["flags"] or "").split()}
    assert item.finds <= found


@ITEMS
@pytest.mark.fault(96)
def test_the_injection_as_a_reason_comes_out_plain_and_bounded_or_not_at_all(item: Item) -> None:
    line, opinion = line_that_stops(echo(item), SYSTEM)
    assert line in {"type", "words", "bounded"}
    if opinion is not None:
        assert opinion.model_dump().keys() == {"signal", "confidence", "reasons", "evidence"}
        assert -1 <= opinion.signal <= 1
        assert 0 <= opinion.confidence <= 1
        assert set(opinion.evidence) <= INPUTS.ids
        assert all(plain(reason, characters_max=240).flags == () for reason in opinion.reasons)


@pytest.mark.parametrize(("kind", "raw"), stopped_by_type().items(), ids=stopped_by_type().keys())
@pytest.mark.fault(95)
def test_an_answer_of_another_shape_is_stopped_by_its_type(kind: str, raw: str) -> None:
    assert line_that_stops(raw, SYSTEM) == ("type", None)


@pytest.mark.parametrize(("kind", "raw"), stopped_by_citation().items(), ids=stopped_by_citation().keys())
@pytest.mark.fault(95)
def test_an_answer_that_cites_what_was_not_given_is_stopped_by_the_role(kind: str, raw: str) -> None:
    assert line_that_stops(raw, SYSTEM) == ("citation", None)


@pytest.mark.parametrize(("kind", "raw"), stopped_by_words(SYSTEM).items(), ids=stopped_by_words(SYSTEM).keys())
@pytest.mark.fault(96)
def test_an_answer_that_carries_something_out_is_stopped_by_its_words(kind: str, raw: str) -> None:
    assert line_that_stops(raw, SYSTEM) == ("words", None)


def test_a_complaint_never_repeats_what_it_complains_about() -> None:
    for raw in stopped_by_words(SYSTEM).values():
        opinion = Opinion.model_validate_json(raw)
        complaint = clean_output(opinion, system=SYSTEM)
        assert complaint is not None
        assert not any(reason.strip() and reason in complaint for reason in opinion.reasons)
        assert "collector" not in complaint


@pytest.mark.parametrize("line", read("skill-files"), ids=lambda line: line["rule"])
@pytest.mark.fault(96)
def test_a_hostile_skill_file_is_refused_with_its_rule(line: dict[str, str], tmp_path: Path) -> None:
    assert line["old"] in SKILL
    folder = put(tmp_path, SKILL.replace(line["old"], line["new"], 1))
    with pytest.raises(ConfigurationError, match=re.escape(line["rule"])) as refused:
        read_skill(folder, {"Opinion": Opinion, "NewsInputs": NewsInputs})
    assert "tide-watcher" in str(refused.value)


@pytest.mark.parametrize("line", read("skill-paths"), ids=lambda line: ascii(line["name"]))
@pytest.mark.fault(96)
def test_a_name_that_is_a_path_names_no_skill(line: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path, SKILL)
    skills = SkillShelf(tmp_path).take()
    assert line["name"] not in skills
    with pytest.raises(UnknownSkill, match="tide-watcher"):
        skills[line["name"]]


@pytest.mark.parametrize(
    "symbol", ["\u0410APL", "AA\u200bPL", "\uff21\uff21\uff30\uff2c", "M\u0405FT", "[[data]]", "www.a.b"]
)
@pytest.mark.fault(96)
def test_a_symbol_that_imitates_another_is_not_asked_about(symbol: str) -> None:
    with pytest.raises(PermanentFailure, match="symbol"):
        render(news_skill(), DOCTRINE, Question(symbol=symbol), Opinion)


def test_the_page_shows_what_stopped_each_family() -> None:
    page = (PROJECT / "docs" / "skills.md").read_text()
    assert table_of_lines() in page


def table_of_lines() -> str:
    """One row for each family: how many items, how many were named on the way in, where the echo of the injection ended."""
    rows = [
        "| family | items | named in the prompt | repeated as a reason: refused | repeated: plain words in a bounded opinion |"
    ]
    rows.append("| --- | --- | --- | --- | --- |")
    for family in dict.fromkeys(item.family for item in corpus()):
        items = [item for item in corpus() if item.family == family]
        named = sum(any(fence["flags"] for fence in fences(rendered(item))) for item in items)
        lines = Counter(line_that_stops(echo(item), SYSTEM)[0] for item in items)
        rows.append(f"| {family} | {len(items)} | {named} | {len(items) - lines['bounded']} | {lines['bounded']} |")
    return "\n".join(rows)
