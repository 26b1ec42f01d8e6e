"""One page of HTML that needs nothing else: tables that sort on a click, the figure inside, light and dark.

Nothing is fetched: no script, font or image from elsewhere, and whatever comes from data is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from neurofmx.benchmark.across import GATE
from neurofmx.benchmark.one import PARTS
from neurofmx.benchmark.outputs.number_rows import WHOSE, by_modality_rows, other_rows, variable_rows
from neurofmx.benchmark.outputs.rows import (
    ABSENT,
    ASKED,
    COLUMNS,
    OVER,
    TITLES,
    in_order,
    left_out,
    modality_rows,
    notices,
    over_rows,
    part_rows,
    stream_rows,
    unranked,
)

FEW = 8  # notices that are shown unfolded

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #ffffff; --line: #d8dee4; --band: #f3f5f7;
  --good: #1a7f37; --bad: #b3261e; --note: #fff4d6; --noteline: #d4a72c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --paper: #14171b; --line: #333a42;
  --band: #1d2228; --good: #57c07a; --bad: #ff8a80; --note: #33290e; --noteline: #8a6d1c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; } p { margin: .3rem 0 .8rem; max-width: 62rem; }
.soft { color: var(--soft); }
nav a { color: inherit; margin-right: 1rem; }
.notice { border-left: 4px solid var(--line); background: var(--band); padding: .5rem .9rem; margin: .8rem 0; }
.notice.warn { border-color: var(--noteline); background: var(--note); }
.notice ul { margin: .3rem 0 0; padding-left: 1.2rem; }
figure { margin: 1rem 0; padding: .6rem; background: #ffffff; border: 1px solid var(--line); border-radius: 6px; }
figure { overflow-x: auto; }
figure img { display: block; width: 100%; min-width: 46rem; height: auto; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; } td.why { white-space: normal; min-width: 18rem; }
th { background: var(--band); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid currentColor; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
tbody tr:hover { background: var(--band); }
.wins { color: var(--good); font-weight: 600; } .loses { color: var(--bad); }
.leak { color: var(--bad); font-weight: 700; }
details > summary { cursor: pointer; margin: .4rem 0; }
label { display: inline-block; margin: .8rem 0; } input { font: inherit; padding: .2rem .5rem; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: 4px; max-width: 100%; }
.notice, p { overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: .8rem; } nav a { display: inline-block; padding: .35rem 0; }
  /* the dataset stays in sight while a table is moved sideways */
  .wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: var(--paper); } }
@page { size: A4 landscape; margin: 12mm; }
@media print { :root { color-scheme: light; --ink: #000000; --soft: #444444; --paper: #ffffff; --line: #bbbbbb;
    --band: #f3f5f7; --good: #1a7f37; --bad: #b3261e; --note: #fff4d6; --noteline: #d4a72c; }
  body { max-width: none; padding: 0; font-size: 10px; } nav, label { display: none; }
  .wide { overflow: visible; border: 0; } figure { overflow: visible; } figure img { min-width: 0; }
  table { font-size: 7.5px; } th, td { padding: .15rem .3rem; white-space: normal; overflow-wrap: anywhere; }
  td.why { min-width: 0; } thead { display: table-header-group; } tr, figure { break-inside: avoid; }
  h2, h3, summary { break-after: avoid; } }
"""

SCRIPT = """
"use strict";
function key(cell) {
  const text = cell.textContent.trim();
  const number = parseFloat(text.replace(/,/g, ""));
  return text === "-" ? null : Number.isNaN(number) || !/^[+-]?[0-9.]/.test(text) ? text : number;
}
function sort(button) {
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const place = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return down ? -order : order;
  });
  body.append(...rows.map(([, row]) => row));
}
function keep(text) {
  const words = text.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of document.querySelectorAll("tbody tr")) {
    const said = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => said.includes(word));
  }
}
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => sort(button));
document.getElementById("keep").addEventListener("input", (event) => keep(event.target.value));
let folded = [];  // paper has nothing to unfold
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
"""


def page(facts: Mapping[str, Any], png: bytes) -> str:
    """The whole report.

    Args:
        facts: `Benchmark.facts`.
        png: The figure.

    Returns:
        A complete document, UTF-8, that opens without a network.
    """
    title = escape(f"Benchmark {facts['suite']}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        + "\n".join(_body(facts, png))
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _body(facts: Mapping[str, Any], png: bytes) -> Iterator[str]:
    yield _notice(facts)
    models = ", ".join(f"{name} (seeds {_listed(each['seeds'])})" for name, each in facts["models"].items())
    yield f'<p class="soft">{escape(models)}; {len(facts["datasets"])} datasets.</p>'
    there = [part for part in PARTS if next(part_rows(facts, part), None)]
    yield "<nav>" + "".join(f'<a href="#{part}">{escape(TITLES[part])}</a>' for part in there) + "</nav>"
    image = base64.b64encode(png).decode("ascii")
    alt = "Four panels: decoding, reconstruction, latent space, transfer and few-shot; the tables hold the same numbers"
    yield f'<figure><img alt="{alt}" src="data:image/png;base64,{image}"></figure>'
    yield _legend(facts)
    yield '<label>Show rows with <input id="keep" type="search" placeholder="e.g. spikes lstm"></label>'
    for part in there:
        yield from _part(facts, part)
    if rows := stream_rows(facts):
        yield "<h2>Streaming</h2><p>Samples in, predictions out, one thread.</p>" + table(rows, tuple(rows[0]))
    if rows := left_out(facts):
        yield "<h2>Not asked</h2>" + table(rows, tuple(rows[0]))
    yield _settings(facts)


def _notice(facts: Mapping[str, Any]) -> str:
    """Whether this is the suite, first of all."""
    first, *more = notices(facts)
    listed = f"<ul>{''.join(f'<li>{escape(said)}</li>' for said in more)}</ul>" if more else ""
    if len(more) > FEW:
        listed = f"<details><summary>{len(more)} notices</summary>{listed}</details>"
    return f'<div class="notice{" warn" if more else ""}" role="note">{escape(first)}{listed}</div>'


def _legend(facts: Mapping[str, Any]) -> str:
    confidence = f"{100 * facts['options']['confidence']:g}"
    return (
        f"<p>Intervals hold {confidence} % of a bootstrap over blocks of time and seeds. <b>chance</b> looks at "
        "nothing, <b>shuffled</b> learnt from windows with each other's answers, "
        f"<b>{GATE}</b> is the tuned linear model on the same windows, or the windows themselves, whatever model is "
        "asked under the name linear, and <b>difference</b> the model's score less that, with the interval of the "
        "difference: <b>ties</b> means that it holds 0. The <b>share of the way</b> is from chance to perfect. A click "
        "on a column sorts by it.</p>"
    )


def _part(facts: Mapping[str, Any], part: str) -> Iterator[str]:
    yield f'<h2 id="{part}">{escape(TITLES[part])}</h2><p>{escape(ASKED[part])}</p>'
    if over := list(over_rows(facts, part)):
        yield "<h3>Over datasets</h3>" + table(over, OVER)
    if said := unranked(facts, part):
        yield f"<p>{escape(said)}</p>"
    if kinds := modality_rows(facts, part):
        yield "<h3>Shares of the way by modality</h3>" + table(kinds, tuple(kinds[0]))
    if means := by_modality_rows(facts, part):
        who = escape(" / ".join(WHOSE))
        yield f"<h3>Means over datasets by modality: {who}</h3>" + table(means, tuple(means[0]))
    yield "<h3>Each dataset</h3>" + table(in_order(part_rows(facts, part)), COLUMNS)
    if part == "decoding" and (rows := variable_rows(facts)):
        yield _folded("Each variable", rows)
    if rows := other_rows(facts, part):
        yield _folded("All numbers", rows)
    if pairs := facts["across"][part].get("pairs"):
        yield _folded("Models against each other over datasets", [_pair(each) for each in pairs])


def _pair(each: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: str(each[name]) for name in ("first", "second", "datasets")}
    return kept | {"first higher": str(each["better"]), "p": f"{each['p']:.3g}", "p (Holm)": f"{each['corrected']:.3g}"}


def _folded(title: str, rows: Sequence[Mapping[str, str]]) -> str:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return f"<details><summary>{escape(title)}</summary>{table(rows, columns)}</details>"


def _settings(facts: Mapping[str, Any]) -> str:
    """What was asked and of which windows, enough to ask it again."""
    options = [{"setting": name, "value": _listed(value)} for name, value in facts["options"].items()]
    datasets = [
        {"dataset": name} | {key: _listed(value) for key, value in each.items()}
        for name, each in facts["datasets"].items()
    ]
    return "<h2>Settings and windows</h2>" + _folded("Settings", options) + _folded("Windows", datasets)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """A table whose columns sort on a click; every cell is escaped.

    Example:
        >>> "&lt;b&gt;" in table([{"model": "<b>"}], ("model",))
        True
    """
    numeric = [all(_numeric(row.get(name, ABSENT)) for row in rows) for name in columns]
    head = "".join(
        f'<th scope="col"{_class(n)}><button type="button">{escape(name)}</button></th>'
        for name, n in zip(columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(_cell(name, row.get(name, ABSENT), n) for name, n in zip(columns, numeric, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _numeric(text: str) -> bool:
    return text == ABSENT or text.replace(",", "").replace(".", "").replace("e-", "").lstrip("+-").isdigit()


def _class(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _cell(column: str, text: str, numeric: bool) -> str:
    """A cell; verdicts and leaks have a colour beside their word."""
    kind = text if text in ("wins", "loses") else "leak" if text.endswith("LEAK") or text in ("NO", "YES") else ""
    names = " ".join(filter(None, (kind, "n" if numeric else "", "why" if column == "why" else "")))
    attribute = f' class="{names}"' if names else ""
    return f"<td{attribute}>{escape(text)}</td>"
