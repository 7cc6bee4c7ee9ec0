"""The looks of the evaluation report: one sheet, light and dark, narrow and wide, and on paper."""

from typing import Final

CSS: Final = """
:root { color-scheme: light dark;
  --ground: #f7f6f2; --sheet: #ffffff; --ink: #1d2330; --quiet: #5d6675; --rule: #e2e0d8; --tint: #f1efe8;
  --pass: #1a7348; --pass-tint: #e2f3e9; --fail: #b3261e; --fail-tint: #fbe6e4; --undecided: #8a5a00;
  --undecided-tint: #fbefd5; --accent: #2c5aa0; --bar: #b9c7dd; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #12151b; --sheet: #1a1f28; --ink: #e7e9ee; --quiet: #9aa4b4; --rule: #2e3542; --tint: #222834;
  --pass: #63d297; --pass-tint: #16352a; --fail: #ff8d85; --fail-tint: #40201f; --undecided: #f0bd5a;
  --undecided-tint: #3a2e15; --accent: #8cb4f5; --bar: #45597b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 4rem; }
h1 { font-size: clamp(1.5rem, 3.5vw, 2.1rem); line-height: 1.2; margin: 0; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 0 0 .8rem; letter-spacing: -.005em; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 70ch; }
a { color: var(--accent); }
code, .mono { font: .9em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.eyebrow { color: var(--quiet); font-size: .82rem; letter-spacing: .06em; text-transform: uppercase;
  margin: 0 0 .3rem; }
.quiet { color: var(--quiet); }
section, .verdict { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px;
  padding: 1.2rem clamp(1rem, 2.5vw, 1.6rem); margin-top: 1.1rem; }
.verdict { border-left: 6px solid var(--tone); background: var(--tone-tint); }
.verdict strong { font-size: 1.35rem; color: var(--tone); }
.verdict ul { margin: .5rem 0 0; padding-left: 1.2rem; }
.pass { --tone: var(--pass); --tone-tint: var(--pass-tint); }
.fail { --tone: var(--fail); --tone-tint: var(--fail-tint); }
.undecided { --tone: var(--undecided); --tone-tint: var(--undecided-tint); }
.badge { display: inline-block; padding: .05rem .55rem; border-radius: 999px; background: var(--tone-tint);
  color: var(--tone); font-weight: 650; font-size: .8rem; letter-spacing: .02em; white-space: nowrap; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .7rem 1.5rem; margin: 0; }
dl.facts dt { color: var(--quiet); font-size: .8rem; }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); font-size: .85rem; padding-bottom: .5rem; }
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: .8rem; white-space: nowrap; }
th, td { padding: .5rem .8rem .5rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { color: var(--ink); font-size: .93rem; }
.interval { color: var(--quiet); font-size: .85em; white-space: nowrap; }
.why { font-size: .84rem; font-weight: 400; color: var(--quiet); white-space: normal; margin-top: .2rem;
  min-width: 15rem; max-width: 21rem; }
svg { display: block; }
svg .range { stroke: var(--tone, var(--accent)); stroke-width: 3; stroke-linecap: round; }
svg .dot { fill: var(--tone, var(--accent)); }
svg .bound { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
svg .track { fill: var(--tint); }
svg .share { fill: var(--bar); }
svg .ours { fill: var(--accent); }
details { border-top: 1px solid var(--rule); padding: .7rem 0; }
details:first-of-type { border-top: 0; }
summary { cursor: pointer; font-weight: 550; }
summary .mono { color: var(--quiet); font-weight: 400; margin-right: .5rem; }
summary:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .8rem;
  margin-top: .7rem; }
.answers > div { background: var(--tint); border-radius: 8px; padding: .7rem .9rem; }
.answers h4 { margin: 0 0 .3rem; font-size: .8rem; color: var(--quiet); }
.said { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font-size: .93rem; }
ul.failures { margin: .5rem 0 0; padding-left: 1.2rem; color: var(--fail); font-size: .9rem; }
.pair code { white-space: nowrap; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem; }
.pair > * { min-width: 0; } .pair td:last-child { overflow-wrap: anywhere; }
footer { margin-top: 1.5rem; color: var(--quiet); font-size: .85rem; }
@media (max-width: 46rem) {
  thead { position: absolute; clip-path: inset(50%); }
  table, caption, tbody, tr, th, td { display: block; padding: 0; border: 0; }
  tbody tr { border-bottom: 1px solid var(--rule); padding: .7rem 0; display: grid; gap: .4rem; }
  tbody th { white-space: normal; }
  td[data-label] { display: grid; grid-template-columns: 7.5rem 1fr; }
  td[data-label]::before { content: attr(data-label); color: var(--quiet); font-size: .8rem; }
  td.none { display: none; } .badge { justify-self: start; } .why { min-width: 0; max-width: none; } }
@media print { body { background: #fff; } section, .verdict { break-inside: avoid; border-radius: 0; } }
"""
