"""The tables of news, filings and macro series, and of what their sources answered.

A row's `session` is the one in which it became knowable: the first whose close is not before `knowable_at`. What became knowable
after a close belongs to the next session, so a decision sees it when its reader's `as_of` does.
"""

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

PUBLISHED_AT = Column("published_at", "instant", "UTC instant that the publisher states.")
FETCHED_AT = Column("fetched_at", "instant", "UTC instant at which the desk received the row.")
BASIS = Column(
    "basis",
    "text",
    "Why knowable_at is what it is: observed (the desk saw it then) or published (fetched later; the publisher's time plus a lag).",
)
SOURCE = Column("source", "text", "Source that delivered the row.")
MARKET = "MARKET"

NEWS = Table(
    name="news",
    doc="One headline about one symbol, or about MARKET. The text is data: nothing in it is ever followed as an instruction.",
    key=("session", "symbol", "item"),
    columns=(
        SYMBOL,
        SESSION,
        Column(
            "item",
            "text",
            "Digest of publisher, address, headline and published_at: the same item fetched twice is one row.",
        ),
        Column("headline", "text", "Headline, control characters removed."),
        Column("summary", "text", "Summary, control characters removed; may be empty text."),
        Column("publisher", "text", "Who published it."),
        Column("url", "text", "Where it stands; may be empty text."),
        SOURCE,
        PUBLISHED_AT,
        FETCHED_AT,
        BASIS,
        KNOWABLE_AT,
    ),
)

FILINGS = Table(
    name="filings",
    doc="One filing of a company with the SEC, as its index lists it; knowable when EDGAR accepted it.",
    key=("session", "symbol", "accession"),
    columns=(
        SYMBOL,
        SESSION,
        Column("accession", "text", "EDGAR accession number."),
        Column("form", "text", "Form type, for example 10-K or 8-K."),
        Column("cik", "text", "Central index key, ten digits."),
        Column("filed_on", "day", "Filing date that EDGAR states."),
        Column("period", "day", "End of the period reported on, where the form has one.", nullable=True),
        Column("items", "text", "Items of an 8-K, comma-separated; empty text otherwise."),
        Column("description", "text", "Description of the primary document; may be empty text."),
        Column("url", "text", "Address of the primary document."),
        SOURCE,
        PUBLISHED_AT,
        FETCHED_AT,
        BASIS,
        KNOWABLE_AT,
    ),
)

MACRO_SERIES = Table(
    name="macro_series",
    doc="One observation of one macro series as first or later released; a revision is a new row, the old one stays.",
    key=("session", "series", "observed_on", "knowable_at"),
    columns=(
        Column("series", "text", "Name of the series at its source, for example VIXCLS."),
        SESSION,
        Column("item", "text", "Digest of series, observed_on and knowable_at."),
        Column("observed_on", "day", "Date that the value is for."),
        Column("value", "number", "Value in the series' own unit."),
        Column("unit", "text", "Unit of the value."),
        SOURCE,
        PUBLISHED_AT,
        FETCHED_AT,
        BASIS,
        KNOWABLE_AT,
    ),
)

SOURCE_ANSWERS = Table(
    name="source_answers",
    doc="What one source of documents said when it was last asked for one session; a later answer replaces the row.",
    key=("session", "documents", "source"),
    columns=(
        Column("documents", "text", "Table that the source was asked for: news, filings or macro_series."),
        SESSION,
        SOURCE,
        Column("delivers", "text", "live, archive or dropped; see Delivers in ports.py."),
        Column("items", "count", "Rows of this source stored in this session after the answer."),
        Column("failure", "text", "Why the source could not answer in full; empty text when it did."),
        Column("refused", "text", "Items that were left out, one sentence each, separated by line feeds."),
        FETCHED_AT,
        KNOWABLE_AT,
    ),
)
