/** Light and dark, readable on paper and on a phone; no fonts or scripts from anywhere. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c1c28; --soft: #66667a; --line: #dcdce6; --page: #fdfdfe; --card: #fff;
  --a: #5b3df5; --b: #e0592a; --c: #12876f; --d: #b0287a; --good: #12876f; --bad: #c43d2f }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf4; --soft: #a2a2b8; --line: #33334a; --page: #14141d;
  --card: #1c1c28; --a: #a493ff; --b: #ff9a6c; --c: #57d6ba; --d: #ff86cf; --good: #57d6ba; --bad: #ff8a7d } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2 } h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem }
p { margin: .4rem 0 } .note, .subtitle, .legend { color: var(--soft) } .scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { padding: .35rem .7rem;
  border-bottom: 1px solid var(--line); text-align: right } th:first-child, td:first-child { text-align: left }
th { color: var(--soft); font-weight: 600 } small { color: var(--soft); white-space: nowrap }
svg { width: 100%; height: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
.grid { stroke: var(--line) } .tick { fill: var(--soft); font: 11px system-ui, sans-serif }
.line { fill: none; stroke-width: 1.6; stroke: currentColor } .line0 { color: var(--a) } .line1 { color: var(--b) }
.line2 { color: var(--c) } .line3 { color: var(--d) } .key::before { content: "● " }
/* A chart shrinks with the page; its words and lines should not. */
@media (max-width: 36rem) { .tick { font-size: 15px } .line { stroke-width: 3 } }
.confusion td { min-width: 2.6rem; text-align: center; border: 1px solid var(--page) }
.confusion th { border: 0 } .confusion thead th { vertical-align: bottom; padding: .3rem 0 }
.confusion th span { display: inline-block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.confusion thead span { max-height: 9rem; writing-mode: vertical-rl; transform: rotate(180deg) }
.confusion tbody span { max-width: min(16rem, 30vw); vertical-align: bottom }
.confusion th:first-child { position: sticky; left: 0; background: var(--page) }
.row { margin: 1rem 0 } .row h3 { margin: 0 0 .4rem; font-size: 1rem } .strip { display: flex; flex-wrap: wrap; gap: .6rem }
figure { margin: 0; width: var(--size) } figure img { display: block; width: 100%; border: 2px solid var(--line);
  border-radius: 8px; background: #fff } .good img { border-color: var(--good) } .bad img { border-color: var(--bad) }
figcaption { font-size: .78rem; line-height: 1.25; overflow-wrap: anywhere } .good figcaption::before { content: "✓ " }
.bad figcaption::before { content: "✗ " }`;
