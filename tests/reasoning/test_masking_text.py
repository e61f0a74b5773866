"""Foreign text: names, days and numbers are gone, the same thing has the same word, and every text comes back as it was."""

import re
from datetime import date
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.masking import mask

ALIASES = {
    "AAPL": ["Apple", "Apple Inc.", "iPhone"],
    "BRK.B": ["Berkshire Hathaway", "Berkshire"],
    "F": ["Ford Motor"],
    "ALL": ["Allstate"],
    "MCD": ["McDonald's"],
    "AT1": ["AT&T"],
}
OUR_WORD = re.compile(r"\[[A-Z]+_[A-Z]+\]|ASSET_[A-Z]+")


class News(BaseModel):
    symbol: Annotated[str, Mark.SYMBOL]
    day: date
    texts: Annotated[tuple[str, ...], Mark.UNTRUSTED]


def hidden(*texts: str, symbol: str = "AAPL") -> tuple[str, ...]:
    question = News(symbol=symbol, day=date(2024, 3, 5), texts=texts)
    masked = mask(question, aliases=ALIASES)
    assert masked.unmask(masked.inputs) == question
    return masked.inputs.texts


def kinds(text: str) -> list[str]:
    """What our words in a masked text stand for, in their order."""
    return [word.strip("[]").rpartition("_")[0] for word in OUR_WORD.findall(hidden(text)[0])]


@pytest.mark.parametrize(
    "written",
    [
        "AAPL", "aapl", "Aapl", "$AAPL", "$aapl", "(AAPL)", "AAPL's", "Apple", "APPLE", "apple", "Apple Inc.",
        "apple inc", "iPhone", "iphone", "A\u200bAPL", "\uff21\uff21\uff30\uff2c", "A\u00adPPLE", "AAPL\u202c",
        "AAPL_US", "#AAPL", "@Apple",
    ],
)  # fmt: skip
def test_every_spelling_of_the_company_becomes_its_asset(written: str) -> None:
    (text,) = hidden(f"Shares of {written} rise")
    assert re.fullmatch(r"Shares of \W?ASSET_A\W*(?:s|_US)? rise", text), text


@pytest.mark.parametrize(
    "written", ["BRK.B", "BRK-B", "BRK/B", "BRKB", "brk.b", "BRK B", "Berkshire Hathaway", "berkshire-hathaway"]
)
def test_share_classes_are_found_however_they_are_joined(written: str) -> None:
    assert hidden(f"Buying {written} now", symbol="BRK.B") == ("Buying ASSET_A now",)


def test_a_ticker_that_is_a_common_word_is_found_as_it_is_written() -> None:
    assert hidden("ALL of all: ALL rises, $all falls", symbol="ALL") == (
        "ASSET_A of all: ASSET_A rises, ASSET_A falls",
    )


def test_a_ticker_inside_a_word_is_left_alone() -> None:
    assert hidden("Fed and Foxes", "pineapples", symbol="F") == ("Fed and Foxes", "pineapples")


def test_other_companies_that_are_known_by_name_are_assets_too() -> None:
    text, other = hidden("Apple sues Allstate over Berkshire", "ALLSTATE answers MCDONALD'S and at&t")
    assert text == "ASSET_A sues ASSET_B over ASSET_C"
    assert other == "ASSET_B answers ASSET_D and ASSET_E"


@pytest.mark.parametrize(
    "written", ["$TSLA", "NASDAQ: TSLA", "(NYSE:TSLA)", "NYSE American: TSLA", "OTC : TSLAF", "US88160R1014"]
)
def test_tickers_of_companies_that_are_not_known_are_hidden(written: str) -> None:
    assert kinds(f"{written} rises") == ["TICKER"]
    assert "TSLA" not in hidden(f"{written} rises")[0]


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-05", "2024-3-5", "2024-03-05T14:30:00Z", "2024-03-05 14:30", "2024-03", "03/05/2024", "3/5/24",
        "5.3.2024", "2024/03/05", "March 5, 2024", "March 5", "March 5th, 2024", "Mar. 5, 2024", "mar 5",
        "5 March 2024", "5th of March", "5 Mar", "March 2024", "Mar '24", "MARCH 5, 2024", "Sept. 30, 2023",
        "december 2019",
    ],
)  # fmt: skip
def test_days_are_hidden_whole(written: str) -> None:
    assert kinds(f"It said on {written} that") == ["DATE"]
    assert not re.search(r"\d|(?i:mar|sep|dec)", hidden(f"It said on {written} that")[0])


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("2024", "YEAR"), ("in 1999", "YEAR"), ("the 1990s", "YEAR"), ("class of '24", "YEAR"), ("FY24", "YEAR"),
        ("FY2024", "YEAR"), ("fiscal 2025", "YEAR"), ("May", "MONTH"), ("in March", "MONTH"), ("DECEMBER", "MONTH"),
        ("january", "MONTH"), ("Sep", "MONTH"), ("on Monday", "DAY"), ("Fridays", "DAY"), ("Christmas", "DAY"),
        ("black friday", "DAY"), ("New Year's Eve", "DAY"), ("this summer", "DAY"), ("Q4", "QUARTER"),
        ("Q3 2024", "QUARTER"), ("1Q24", "QUARTER"), ("H2", "QUARTER"), ("fourth-quarter", "QUARTER"),
        ("third fiscal quarter", "QUARTER"), ("first half", "QUARTER"), ("3%", "PERCENT"),
        ("12.7 percent", "PERCENT"), ("-0.5%", "PERCENT"), ("25 basis points", "PERCENT"), ("25bp", "PERCENT"),
        ("$170.12", "AMOUNT"), ("$2.5 billion", "AMOUNT"), ("US$3bn", "AMOUNT"), ("€40", "AMOUNT"),
        ("12 cents", "AMOUNT"), ("150 dollars", "AMOUNT"), ("7", "NUMBER"), ("1,234,567", "NUMBER"),
        ("187.43", "NUMBER"), ("10:30", "NUMBER"), ("https://apple.com/2024", "LINK"), ("www.apple.com", "LINK"),
        ("apple.com/newsroom", "LINK"), ("tim@apple.com", "LINK"), ("[YEAR_A]", "WORD"), ("ASSET_Q", "WORD"),
    ],
)  # fmt: skip
def test_what_dates_or_measures_is_hidden_by_kind(written: str, kind: str) -> None:
    assert kinds(f"The shop {written} of") == [kind]


@pytest.mark.parametrize(
    "text", ["it may march on", "Second thoughts", "We marched", "the decision", "Mayor of a town", "sun and moon", ""]
)
def test_plain_words_stay(text: str) -> None:
    assert hidden(text) == (text,)


@pytest.mark.parametrize("symbol", ["", " ", "-", ".", "\u200b", "^GSPC", "A B", "(x", "\\d"])
def test_an_odd_symbol_spoils_no_text(symbol: str) -> None:
    assert hidden("Shares rise", symbol=symbol) == ("Shares rise",)


def test_the_same_thing_has_the_same_word_throughout_a_question() -> None:
    first, second = hidden("Up 3% in 2023 and 4% in 2024", "After 2023, 4%")
    assert first == "Up [PERCENT_A] in [YEAR_A] and [PERCENT_B] in [YEAR_B]"
    assert second == "After [YEAR_A], [PERCENT_B]"


def test_foreign_text_cannot_speak_of_our_assets() -> None:
    (text,) = hidden("ASSET_A is a fraud, says [LINK_A]; Apple denies")
    assert text == "[WORD_A] is a fraud, says [WORD_B]; ASSET_A denies"


def test_two_texts_that_read_alike_when_masked_stay_two_texts() -> None:
    assert hidden("Apple rises", "AAPL rises", "apple  rises", "AAPL rises") == (
        "ASSET_A rises", "ASSET_A rises (B)", "ASSET_A  rises", "ASSET_A rises (B)"
    )  # fmt: skip


def test_a_text_may_already_end_like_one_of_ours() -> None:
    texts = ("x", "x (B)", "\u200bx", "x (C)", "x\u200b (B)")
    assert len(set(hidden(*texts))) == len(texts)


def test_a_quoted_word_of_ours_is_put_back_in_an_answer() -> None:
    class Reason(BaseModel):
        because: str

    question = News(symbol="AAPL", day=date(2024, 3, 5), texts=("Apple fell 12.7% in Q4 2023",))
    masked = mask(question, aliases=ALIASES)
    said = masked.unmask(Reason(because="ASSET_A fell [PERCENT_A] in [QUARTER_A]; [YEAR_Z] is unheard of"))
    assert said.because == "AAPL fell 12.7% in Q4 2023; [YEAR_Z] is unheard of"


# Properties

WORDS = st.sampled_from(
    [
        *(
            "Apple",
            "AAPL",
            "$aapl",
            "iPhone",
            "BRK-B",
            "2024-03-05",
            "March 5, 2024",
            "May",
            "Q4",
            "FY24",
            "12.7%",
            "$170.12",
            "9",
            "'24",
        ),
        *(
            "rises",
            "may",
            "of",
            "the",
            "ASSET_A",
            "[YEAR_A]",
            "https://apple.com",
            "Monday",
            "1,000",
            "\u200b",
            "(",
            "and",
            "½",
            "٣",
        ),
    ]
)
TEXTS = st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=40)


@given(st.lists(TEXTS, max_size=6))
@settings(max_examples=50)
def test_no_digit_and_no_name_survives_and_everything_comes_back(texts: list[str]) -> None:
    for text in hidden(*texts):
        bare = OUR_WORD.sub("", text)
        assert not any(character.isdecimal() for character in bare)
        assert not re.search(r"(?i)(?<![a-z])(?:aapl|apple|iphone|berkshire)(?![a-z])|https?:", bare)


@given(st.integers(1000, 2999), st.integers(1, 12), st.integers(1, 28), st.sampled_from("-/. "))
@settings(max_examples=40)
def test_numeric_days_are_hidden_however_they_are_written(year: int, month: int, day: int, joint: str) -> None:
    for written in (f"{year}{joint}{month:02d}{joint}{day:02d}", f"{day}{joint}{month}{joint}{year}"):
        assert not any(character.isdecimal() for character in hidden(f"on {written}, it")[0])
