"""One HTML file that needs nothing else: pages of results are put together from these pieces, every text escaped.

It can be read on a screen by day and by night, on paper, and aloud: headings in order, heads of rows and columns,
words for each picture.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from pdfkit._table import Rows, Section

_STYLE = """
:root{color-scheme:light dark;--ink:#111;--paper:#fff;--soft:#444;--line:#111;--link:#0b57a4}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181c;--soft:#bbb;--line:#888;--link:#8ab8f0}}
body{font:16px/1.5 Georgia,"Times New Roman",serif;color:var(--ink);background:var(--paper);max-width:62rem;
margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.2rem;margin:1.8rem 0 .4rem}
h3{font-size:1rem;margin:1.1rem 0 .3rem}p{margin:.3rem 0}a{color:var(--link)}.wide{overflow-x:auto}
table{overflow-wrap:normal;border-collapse:collapse;font-size:.85rem;
border-top:2px solid var(--line);border-bottom:2px solid var(--line)}
thead th{border-bottom:1px solid var(--line)}th,td{text-align:left;vertical-align:top;padding:.15rem .7rem .15rem 0;
white-space:nowrap}tbody th{font-weight:normal}td.text,td:nth-child(2){white-space:normal}
.pictures{display:flex;flex-wrap:wrap;gap:0 1rem}figure{flex:1 1 17rem;max-width:26rem;margin:.8rem 0}
figure.large{flex-basis:100%;max-width:48rem}img{width:100%;height:auto;background:#fff;border-radius:3px}
pre{font-size:.8rem;line-height:1.35;overflow-x:auto;border:1px solid var(--soft);padding:.5rem}
figcaption,footer{font-size:.85rem;color:var(--soft)}
@media print{@page{size:A4;margin:12mm}:root{--ink:#000;--paper:#fff;--soft:#333;--line:#000;--link:#000}
html{font-size:8.5pt}body{font-size:1rem;line-height:1.3;max-width:none;padding:0}h2{margin:.8rem 0 .2rem}
.wide{overflow:visible}h2,h3{break-after:avoid}figure,tr{break-inside:avoid}pre{white-space:pre-wrap}
figure{flex:1 1 30%;max-width:31%}figure.large{max-width:75%}th,td{white-space:normal}}
"""


_COLUMN, _ROW = 'th scope="col"', 'th scope="row"'


def document(title: str, parts: Iterable[str], footer: str) -> str:
    """Return a whole page of parts that are HTML; title and footer are text."""
    body = "\n".join([*parts, f"<footer><p>{html.escape(footer)}</p></footer>"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body></html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraphs(lines: Iterable[str]) -> str:
    """Return a paragraph for each text that is one."""
    return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines if line)


def table(rows: Rows, *, words: bool = False) -> str:
    """Return a table: the first row heads its columns, where there is any text in it, the first cell its row.

    words : cells are sentences, which wrap. Columns without any text are left out.
    """
    shown = [column for column in zip(*rows, strict=True) if any(column)]
    if not shown:
        return ""
    heads, *rest = zip(*shown, strict=True)
    head = f"<thead><tr>{_cells(heads, _COLUMN)}</tr></thead>" if any(heads) else ""
    kind = 'td class="text"' if words else "td"
    body = "".join(f"<tr>{_cells(row[:1], _ROW)}{_cells(row[1:], kind)}</tr>" for row in rest)
    return f'<div class="wide" tabindex="0"><table>{head}<tbody>{body}</tbody></table></div>'


def _cells(row: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{html.escape(cell)}</{tag.partition(' ')[0]}>" for cell in row)


def section(one: Section, level: int = 3) -> str:
    """Return a section as a report in a terminal has it."""
    rows = [row for row in one.rows if any(row)]
    if rows and one.rows[0] != rows[0]:  # no heads
        rows = [tuple("" for _ in rows[0]), *rows]
    return "\n".join([heading(one.heading, level), table(rows), paragraphs(one.lines)])


def picture(svg: bytes, words: str, *, large: bool = False) -> str:
    """Return a picture with its caption, which is also what is read aloud; large: across the page."""
    text, data = html.escape(words), base64.b64encode(svg).decode()
    kind = ' class="large"' if large else ""
    return (
        f'<figure{kind}><img alt="{text}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def attachment(name: str, text: str, words: str) -> str:
    """Return a line with a file that is in the page and can be saved from it."""
    data = base64.b64encode(text.encode()).decode()
    link = f'<a download="{html.escape(name)}" href="data:text/plain;charset=utf-8;base64,{data}">'
    return f"<p>{link}{html.escape(name)}</a>: {html.escape(words)}</p>"


def listing(text: str) -> str:
    """Return text as it stands."""
    return f'<pre tabindex="0">{html.escape(text)}</pre>'
