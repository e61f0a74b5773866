"""Markdown and HTML: the same words, and nobody's words as markup."""

import re
from html import unescape
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import trade_row, trades, walk
from tests.evaluation.reporting.records import of_book, tiny_given
from trading_assets.evaluation.reporting.document import Bullets, Document, Grid, Line, Part, Picture, Words
from trading_assets.evaluation.reporting.html import render_html
from trading_assets.evaluation.reporting.markdown import render

NASTY = st.text(alphabet="ab<>&\"'`*_[]()!|\\\n\t\x00\x1b\u202e#:/", min_size=1, max_size=20)
OURS = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "ul", "li", "code"),
    *("strong", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "img"),
}


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def document(text: str) -> Document:
    picture = Picture("a.png", text, b"\x89PNG")
    blocks = (
        Words(text),
        Bullets((Line(text, strong=text, command=text),)),
        Grid((text, "n"), ((text, text),)),
        picture,
    )
    part = Part("p", text, blocks)
    return Document(text, text, (part,), (part,))


@settings(deadline=None, max_examples=60)
@given(text=NASTY)
def test_no_words_become_markup_in_html(text: str) -> None:
    tags = parsed(render_html(document(text)))
    assert {tag for tag, _ in tags.tags} <= OURS
    for tag, attributes in tags.tags:
        assert not any(name.startswith("on") or name == "href" for name in attributes)
        assert tag != "img" or str(attributes["src"]).startswith("data:image/png;base64,")


@settings(deadline=None, max_examples=60)
@given(text=NASTY)
def test_no_words_become_links_pictures_or_tags_in_markdown(text: str) -> None:
    page = render(document(text))
    ours = re.sub(r"(?<!\\)`[^`\n]*`", "", page.replace("](a.png)", ""))
    assert not re.search(r"(?<!\\)\]\(", ours)
    assert not re.search(r"(?<!\\)<\w", ours)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert page.count("\n# ") == 1


def test_the_page_needs_nothing_else_and_allows_nothing_else() -> None:
    page = of_book(walk(30), 30).report(draws=True).html
    tags = parsed(page)
    policy = [a["content"] for tag, a in tags.tags if tag == "meta" and "http-equiv" in a]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not re.search(r"(?:https?:)?//\w", re.sub('base64,[^"]*', "", page))
    assert {"@media print", "prefers-color-scheme:dark", "break-before:page"} <= set(
        re.findall("@media print|prefers-color-scheme:dark|break-before:page", page)
    )


def test_html_says_what_markdown_says() -> None:
    report = tiny_given().but(trades=trades(trade_row(5, 10, strategy="a|b <i>"))).report()
    text = unescape(re.sub(r"<[^>]+>", " ", report.html))
    for row in re.findall(r"^\| (?!:)(.*) \|$", report.markdown, flags=re.M):
        for cell in re.split(r"(?<!\\)\|", row):
            assert re.sub(r"\\(.)", r"\1", cell.strip()) in text


def test_every_picture_has_words_for_who_cannot_see_it() -> None:
    tags = parsed(of_book(walk(30), 30).report(draws=True).html)
    pictures = [attributes for tag, attributes in tags.tags if tag == "img"]
    assert len(pictures) >= 4
    assert all(attributes["alt"] for attributes in pictures)
