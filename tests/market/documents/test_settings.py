"""Which sources are asked, and what a slip of the hand in the file leads to."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.documents import filing_sources, inbox_folder, macro_sources, news_sources
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import PROJECT
from trading_assets.market.documents.settings import Documents, load_documents

NETWORKED = {"yfinance", "rss", "edgar", "fred", "fredgraph"}


def changed(tmp_path: Path, part: str, **words: Any) -> Path:
    """A configuration folder with other words in one part of the committed file."""
    settings = yaml.safe_load((PROJECT / "config" / "documents.yaml").read_text())
    if part:
        settings[part].update(words)
    else:
        settings.update(words)
    (tmp_path / "documents.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def committed() -> Documents:
    return load_documents(PROJECT / "config")


def test_the_committed_file_uses_no_network() -> None:
    settings = committed()
    asked = {*settings.news.sources, *settings.filings.sources, *settings.macro.sources}
    assert asked == {"embedded", "inbox"}
    assert not asked & NETWORKED


def test_the_committed_file_holds_no_contact_and_no_key() -> None:
    settings = committed()
    assert settings.filings.edgar_contact is None
    assert settings.macro.fred_key_variable == "FRED_API_KEY"


def test_every_source_can_be_named_and_made(tmp_path: Path) -> None:
    changed(
        tmp_path,
        "news",
        sources=["embedded", "inbox", "yfinance", "rss", "simulated"],
        feeds=[{"url": "https://a.example/feed"}],
    )
    settings = load_documents(tmp_path)
    made = news_sources(settings, home=tmp_path, seed=7)
    assert [source.name for source in made] == list(settings.news.sources)
    assert [source.delivers for source in made] == ["archive", "dropped", "live", "live", "archive"]
    changed(tmp_path, "filings", sources=["edgar", "inbox"])
    assert [s.name for s in filing_sources(load_documents(tmp_path), home=tmp_path)] == ["edgar", "inbox"]
    changed(tmp_path, "macro", sources=["fred", "fredgraph", "embedded", "inbox"])
    assert [s.name for s in macro_sources(load_documents(tmp_path), home=tmp_path)] == [
        "fred",
        "fredgraph",
        "embedded",
        "inbox",
    ]


def test_the_inbox_lies_in_the_home_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    assert inbox_folder(committed(), tmp_path) == tmp_path / "inbox"
    elsewhere = load_documents(changed(tmp_path, "", inbox_folder="elsewhere"))
    assert inbox_folder(elsewhere, tmp_path) == Path("elsewhere")


def test_series_carry_their_unit_and_lag() -> None:
    wanted = {one.name: one for one in committed().macro.wanted}
    assert wanted["DCOILWTICO"].unit == "USD per barrel"
    assert wanted["CPILFESL"].release_lag_days == 60


@pytest.mark.parametrize(
    ("part", "words", "said"),
    [
        ("news", {"sources": ["bloomberg"]}, "news.sources"),
        ("news", {"sources": ["inbox", "inbox"]}, "stands twice"),
        ("news", {"sources": ["rss"]}, "source rss needs at least one feed"),
        ("news", {"feeds": [{"url": "ftp://a.example/feed"}]}, "news.feeds.0.url"),
        ("news", {"feeds": [{"url": "https://a.example"}, {"url": "https://a.example"}]}, "a feed stands twice"),
        ("news", {"feeds": [{"url": "https://a.example", "symbols": ["apple"]}]}, "news.feeds.0.symbols"),
        ("news", {"silent_sessions_max": 0}, "news.silent_sessions_max"),
        ("news", {"feed": []}, "news.feed"),
        ("filings", {"edgar_contact": "nobody"}, "needs a mail address"),
        ("filings", {"edgar_contact": "Jane\r\nX-Evil: 1 jane@example.com"}, "needs a mail address"),
        ("filings", {"edgar_ciks": {"FB": 0}}, "filings.edgar_ciks"),
        ("macro", {"fred_key_variable": "0123456789abcdef0123456789abcdef"}, "macro.fred_key_variable"),
        ("macro", {"series": [{"name": "A", "unit": "", "release_lag_days": 1}]}, "macro.series.0.unit"),
        ("macro", {"series": [{"name": "A", "unit": "x", "release_lag_days": 1}] * 2}, "stands twice"),
        ("macro", {"series": [{"name": "A", "unit": "x", "release_lag_days": "1"}]}, "release_lag_days"),
        ("", {"fred_api_key": "x"}, "fred_api_key"),
    ],
)
def test_a_slip_of_the_hand_is_refused_by_file_and_key(
    tmp_path: Path, part: str, words: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match="documents.yaml") as refused:
        load_documents(changed(tmp_path, part, **words))
    assert said in str(refused.value)
