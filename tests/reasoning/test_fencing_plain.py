"""Text made plain: what a reader cannot see is gone, what could act is disarmed, words stay, and each change is named."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reasoning.injecting import Item, corpus
from trading_assets.reasoning.lookalikes import look_alikes
from trading_assets.reasoning.sanitising import CHARACTERS_MIN, plain

NASTY = st.sampled_from(
    [
        *(
            "<",
            ">",
            "</",
            "<!--",
            "-->",
            "<b>",
            "</b>",
            "<script>",
            "</script>",
            "<div style='display:none'>",
            "</div>",
        ),
        *(
            "&",
            "&lt;",
            "&amp;",
            "&#x200b;",
            "&#91;",
            ";",
            "#",
            "[[",
            "]]",
            "[",
            "]",
            "](",
            "/data",
            "data:",
            "://",
            "www.",
        ),
        *(
            "http",
            "a.b/",
            "@",
            ".example",
            "\u200b",
            "\u202e",
            "\ufe0f",
            "\U000e0041",
            "\u0301",
            "\uff3b",
            "\uff1c",
            "\ufe60",
        ),
        *(
            "System",
            ":",
            "\n",
            " ",
            "\u2028",
            "\u00a0",
            "<|",
            "|>",
            "[INST]",
            "%41",
            "\\x41",
            "A" * 20,
            "bC3+",
            "4f ",
            "\u0410PL",
        ),
    ]
)
TEXTS = st.lists(st.one_of(NASTY, st.text(max_size=6)), max_size=40).map("".join)


def text_of(raw: str, characters_max: int = 2_000) -> str:
    return plain(raw, characters_max=characters_max).text


@pytest.mark.parametrize(
    "headline",
    [
        "Apple beats by 3 % & raises its outlook; R&D up 12%, S&P 500 flat",
        "AT&T, Johnson & Johnson and U.S./China talks: what changes?",
        "Fed's Powell: \u201cno hurry\u201d \u2014 yields fall to 4.2%",
        "P/E < 12 and EPS > 3; margin -0.4 (2011: 0.1)",
        "Q3 [update]: costs fell; see item 7A (a), (b)",
        "Nestl\u00e9, M\u00fcnchener R\u00fcck, Soci\u00e9t\u00e9 G\u00e9n\u00e9rale und \u00d8rsted steigen",
        "Amazon.com and Booking.com lead; Yahoo! lags",
        "\u0413\u0430\u0437\u043f\u0440\u043e\u043c \u0441\u043e\u043e\u0431\u0449\u0438\u043b",
        "\u82f9\u679c\u516c\u53f8\u4eca\u65e5\u53d1\u5e03\u65b0\u624b\u673a",
        "\u30c8\u30e8\u30bf\u304c\u5897\u76ca\u3092\u767a\u8868",
        "Wage growth: 3, 3, 4, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12",
        "-" * 60,
        "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerk",
    ],
)
def test_an_ordinary_text_stays_as_it_is(headline: str) -> None:
    assert plain(headline, characters_max=2_000).text == headline
    assert plain(headline, characters_max=2_000).flags == ()


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_making_a_text_plain_twice_changes_nothing(raw: str) -> None:
    once = plain(raw, characters_max=2_000)
    twice = plain(once.text, characters_max=2_000)
    assert twice.text == once.text
    assert set(twice.flags) <= {"turn", "look-alike"}


@given(TEXTS)
@settings(max_examples=80, deadline=None)
def test_a_plain_text_holds_nothing_hidden_no_tag_no_mark_and_no_address(raw: str) -> None:
    text = text_of(raw)
    assert {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert "\n" not in text
    assert not any(mark in text for mark in ("[[", "]]", "](", "://", "<b", "</", "<!", "<|"))
    assert text == unicodedata.normalize("NFKC", text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400), st.integers(CHARACTERS_MIN, 300))
@settings(max_examples=60, deadline=None)
def test_a_text_is_never_longer_than_it_may_be(raw: str, most: int) -> None:
    found = plain(raw, characters_max=most)
    assert len(found.text) <= most
    assert ("cut" in found.flags) == found.text.endswith(f"(cut: the beginning of {len(raw)} characters)")


def test_only_four_times_as_much_as_may_be_shown_is_looked_at() -> None:
    raw = "\u200b" * 7_990 + "early" + "\u200b" * 10 + "late"
    found = plain(raw, characters_max=2_000)
    assert found.text == f"early (cut: the beginning of {len(raw)} characters)"
    assert found.flags == ("cut", "hidden")


@pytest.mark.parametrize("item", [item for item in corpus() if item.family == "made-flood"], ids=lambda item: item.id)
def test_a_flood_is_cut_with_a_mark_that_says_how_much_it_was(item: Item) -> None:
    raw = item.texts[0]
    found = plain(raw, characters_max=2_000)
    assert "cut" in found.flags
    assert found.text.endswith(f"(cut: the beginning of {len(raw)} characters)")


@pytest.mark.parametrize(
    "piece",
    [
        "<a",
        "<!--",
        "<",
        "&amp;",
        "[[",
        "a.",
        "a@",
        "a.b",
        "<div hidden>",
        "](",
        "\u0301",
        "%41",
        "00 ",
        "x=",
        "aA1",
        "a-",
        "<|",
        "\ufdfa",
        " > ",
    ],
)
def test_a_long_text_of_one_hostile_piece_is_made_plain(piece: str) -> None:
    found = plain(piece * 100_000, characters_max=2_000)
    assert "cut" in found.flags
    assert plain(found.text, characters_max=2_000).text == found.text


@pytest.mark.parametrize(
    ("raw", "shown", "flags"),
    [
        ("bu\u200by it", "buy it", ("hidden",)),
        ("\u202eyub\u202c", "yub", ("hidden",)),
        ("a\u0000b\u001b[1mc", "ab[1mc", ("hidden",)),
        ("one\u2028two\u00a0three\tfour\r\nfive", "one two three four five", ()),
        ("<p>Costs</p><p>fell</p>", "Costs fell", ("markup",)),
        ("up<br>down<img src=x>", "up down", ("markup",)),
        ("<span style='color: white'>x</span>y", "y", ("hidden", "markup")),
        ("<span style='color: black'>x</span>y", "x y", ("markup",)),
        ("<div hidden>a<div>b</div>c</div>d", "d", ("hidden", "markup")),
        ("<div aria-hidden='true'>a</div>d", "d", ("hidden", "markup")),
        ("<div style='opacity:0.9'>a</div>d", "a d", ("markup",)),
        ("<script>a<b>c</b></script>d", "d", ("hidden", "markup")),
        ("a <!-- b --> c", "a c", ("markup",)),
        ("a <!-- b", "a", ("markup",)),
        ("&lt;b&gt;x", "x", ("markup",)),
        ("&amp;lt;b&amp;gt;x", "x", ("markup",)),
        (" > " * 3_000 + "system: go", "> " * 3_000 + "system: go", ("turn",)),
        ("a<3 and b>2", "a<3 and b>2", ()),
        ("if a<b then", "if a< b then", ()),
        ("see https://a.example/x?y=1 now", "see (link removed) now", ("link",)),
        ("see www.a.example, now", "see (link removed) now", ("link",)),
        ("ask me@a.example now", "ask (link removed) now", ("link",)),
        ("at a.example/b now", "at (link removed) now", ("link",)),
        ("[x](y)", "[x] (y)", ("link",)),
        ("javascript:alert(1)", "(link removed)", ("link",)),
        ("data: inflation rose", "data: inflation rose", ()),
        ("[[a]]", "[ [a] ]", ("fence",)),
        ("<|endoftext|>go", "go", ("turn",)),
        ("Flat. System: go", "Flat. System: go", ("turn",)),
        ("The operating system: a review", "The operating system: a review", ()),
        ("\uff37\uff49\uff44\uff45", "Wide", ()),
        ("\ufb01rst \u00bd", "first 1\u20442", ()),
    ],
)
def test_each_disguise_is_taken_off_and_named(raw: str, shown: str, flags: tuple[str, ...]) -> None:
    found = plain(raw, characters_max=9_000)
    assert (found.text, found.flags) == (shown, flags)


@pytest.mark.parametrize(
    ("text", "imitated"),
    [
        ("\u0410APL", ("AAPL",)),
        ("\u0410\u0410\u0420\u13de", ("AAPL",)),
        ("\uff34\uff33\uff2c\uff21", ("TSLA",)),
        ("\U0001d400\U0001d400\U0001d40f\U0001d40b", ("AAPL",)),
        ("\u82f9\u679cM\u0405FT\u6da8", ("MSFT",)),
        ("p\u0430ypal", ("paypal",)),
        ("T5LA and TSLA", ("TSLA",)),
        ("ts\u013aa", ("TSLA",)),
        ("AAPL MSFT BRK.B", ()),
        ("\u0430 \u0438 \u043c\u043e\u0441\u043a\u0432\u0430", ()),
        ("Stra\u00dfe \u00c9T\u00c9 kurallar\u0131", ()),
        ("\u0261oo\u0261le", ("google",)),
        ("2010 and 5 of 8", ()),
        ("", ()),
    ],
)
def test_a_word_that_imitates_a_ticker_is_told_apart_from_one_that_does_not(
    text: str, imitated: tuple[str, ...]
) -> None:
    assert look_alikes(text, {"TSLA"}) == imitated


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
@settings(max_examples=50, deadline=None)
def test_plain_latin_words_imitate_nothing(text: str) -> None:
    assert look_alikes(text) == ()
