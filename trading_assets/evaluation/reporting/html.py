"""A report's document as one HTML file that needs nothing else: styles and pictures are inside, and there is no script.

Light or dark as the reader's system is; on paper the front page comes first and the details begin on a new one. The page forbids
itself to load anything, so that a picture in somebody's words could not tell anybody that the report was read.
"""

import base64
from collections.abc import Iterator
from html import escape

from trading_assets.evaluation.reporting.document import Block, Bullets, Document, Grid, Line, Part, Picture, Words

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d8dee4;--band:#f6f8fa;--mark:#0072B2}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--paper:#0f1419;--line:#30363d;--band:#171d24;--mark:#56B4E9}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:66rem;margin:0 auto;padding:1.2rem 1.4rem 4rem}
h1{font-size:1.5rem;margin:.2rem 0}
h2{font-size:1.08rem;margin:1.3rem 0 .4rem;padding-bottom:.15rem;border-bottom:2px solid var(--mark)}
h1.behind{margin-top:2.6rem}
p{margin:.4rem 0}
p.summary{font-size:1.08rem}
p.quiet{color:var(--soft);font-size:.86rem}
ul{margin:.35rem 0;padding-left:1.2rem}
li{margin:.18rem 0}
code{background:var(--band);border:1px solid var(--line);border-radius:4px;padding:.05rem .35rem;font-size:.88em;user-select:all}
.grid{overflow-x:auto}
table{border-collapse:collapse;margin:.45rem 0;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:40%}
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th{color:var(--soft);font-weight:600;border-bottom-width:2px;vertical-align:bottom}
th.t,td.t{text-align:left}
td:not(.t){white-space:nowrap}
tbody tr:nth-child(even){background:var(--band)}
figure{margin:.8rem 0;padding:.5rem;background:#fff;border:1px solid var(--line);border-radius:6px}
figure{display:inline-block;max-width:100%}
figure img{display:block;max-width:100%;height:auto}
.missing{border-left:4px solid #D55E00;padding-left:.7rem}
@page{size:auto;margin:10mm 12mm}
@media print{
:root{--ink:#000;--soft:#444;--paper:#fff;--line:#bbb;--band:#f4f4f4;--mark:#000}
html,body{font-size:8.4pt;line-height:1.25}
main{max-width:none;padding:0}
h1{font-size:13pt}h2{font-size:10pt;margin:.45rem 0 .15rem}
p,ul,table{margin:.22rem 0}
li{margin:.05rem 0}
th,td{padding:.06rem .4rem}
h1.behind{break-before:page;margin-top:0}
h2{break-after:avoid}
tr,figure,li{break-inside:avoid}
figure{border:0;padding:0}
figure img{max-width:135mm}
#happened figure{margin:.2rem 0}
#happened figure img{max-width:96mm}
code{border:0;padding:0;background:none;font-weight:600}
.grid{overflow:visible}
}
"""


def render_html(document: Document) -> str:
    """The report as one HTML file."""
    return "".join(_page(document))


def _page(document: Document) -> Iterator[str]:
    title = escape(document.title)
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><main>\n"
    yield f'<h1>{title}</h1>\n<p class="summary">{_text(document.summary)}</p>\n'
    for part in document.front:
        yield from _part(part)
    if document.behind:
        yield '<h1 class="behind">Behind it</h1>\n'
    for part in document.behind:
        yield from _part(part)
    yield "</main></body></html>\n"


def _part(part: Part) -> Iterator[str]:
    kind = ' class="missing"' if part.missing else ""
    yield f'<section id="{escape(part.key)}"{kind}><h2>{_text(part.heading)}</h2>\n'
    for block in part.blocks:
        yield from _block(block)
    yield "</section>\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Words(text=text, quiet=quiet):
            kind = ' class="quiet"' if quiet else ""
            yield f"<p{kind}>{_text(text)}</p>\n"
        case Bullets(lines=lines):
            yield "<ul>" + "".join(f"<li>{_line(line)}</li>" for line in lines) + "</ul>\n"
        case Grid():
            yield from _grid(block)
        case Picture(title=title, content=content):
            source = base64.b64encode(content).decode()
            yield f'<figure><img alt="{_text(title)}" src="data:image/png;base64,{source}"></figure>\n'


def _line(line: Line) -> str:
    strong = f"<strong>{_text(line.strong)}</strong>: " if line.strong else ""
    return strong + _text(line.text) + (f" <code>{_text(line.command)}</code>" if line.command else "")


def _grid(grid: Grid) -> Iterator[str]:
    kinds = [' class="t"' if n in grid.text else "" for n in range(len(grid.columns))]
    head = "".join(f"<th{kind}>{_text(name)}</th>" for kind, name in zip(kinds, grid.columns, strict=True))
    yield f'<div class="grid"><table><thead><tr>{head}</tr></thead><tbody>\n'
    for row in grid.rows:
        yield "<tr>" + "".join(f"<td{kind}>{_text(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        yield "</tr>\n"
    yield "</tbody></table></div>\n"


def _text(text: str) -> str:
    visible = "".join(character if character.isprintable() else " " for character in text)
    return escape(" ".join(visible.split()))
