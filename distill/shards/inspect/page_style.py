"""The style sheet of the inspection page: light, no external font, one column on a phone."""

from __future__ import annotations

INK, FAINT, GRID = "#20242a", "#68707a", "#e3e6ea"
ACCEPTED, DROPPED, THRESHOLD = "#2f7fb8", "#e0a458", "#b3261e"
_COLOURS = f"""\
:root {{ --ink: {INK}; --faint: {FAINT}; --line: {GRID}; --good: {ACCEPTED}; --bad: {DROPPED};
  --limit: {THRESHOLD}; }}
"""
CSS = (
    _COLOURS
    + """\
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 12px; }
h3 { font-size: .95rem; margin: 0 0 4px; }
.lead { margin: 0 0 20px; font-size: 1.05rem; overflow-wrap: anywhere; }
.lead span { color: var(--faint); font-size: .9rem; margin-left: 8px; }
.hint { color: var(--faint); margin: 0 0 12px; font-size: .9rem; }
.notes { margin: 0 0 16px; padding: 12px 12px 12px 32px; background: #fff4dd; border: 1px solid #f0d9a8;
  border-radius: 8px; overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 20px;
  margin: 0 0 16px; }
.facts { display: grid; gap: 12px 20px; margin: 0;
  grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
dt { color: var(--faint); font-size: .82rem; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .93rem; }
th { text-align: left; font-weight: 500; }
thead th { color: var(--faint); font-size: .82rem; }
th, td { padding: 5px 16px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
.counts { width: 100%; max-width: 760px; }
.counts td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.counts thead th:nth-child(2), .counts thead th:nth-child(3) { text-align: right; }
.counts td.bar { width: 36%; padding-right: 0; vertical-align: middle; }
.bar i { display: block; height: 10px; min-width: 1px; border-radius: 2px; background: #c3c9d1; }
.bar .accepted { background: var(--good); }
.bar .dropped { background: var(--bad); }
.sheet { display: grid; gap: 20px 24px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.singles { gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(48%, 128px), 1fr)); }
figure { margin: 0; min-width: 0; }
.roles { display: grid; grid-template-columns: repeat(var(--roles), minmax(0, 1fr)); gap: 4px; }
.roles img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 4px; }
.roles span { font-size: .82rem; color: var(--faint); }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
figcaption ul { list-style: none; margin: 0; padding: 0; color: var(--faint); font-size: .8rem; }
.charts { display: grid; gap: 24px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.charts img { display: block; width: 100%; height: auto; }
.charts figcaption { color: var(--faint); }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin: 0 4px 0 10px;
  vertical-align: -1px; }
.legend i:first-child { margin-left: 0; }
.legend .accepted { background: var(--good); }
.legend .dropped { background: var(--bad); }
.legend .threshold { width: 0; border-left: 2px dashed var(--limit); border-radius: 0; }
summary { cursor: pointer; }
.settings { margin-top: 12px; width: 100%; }
.settings th { width: 14rem; }
.settings td { overflow-wrap: anywhere; }
@media (max-width: 600px) {
  section { padding: 16px 12px; }
  .lead span { display: block; margin: 0; }
  th, td { padding-right: 10px; }
  .counts td.bar, .counts thead th:last-child { display: none; }
  .settings th { width: 9rem; overflow-wrap: anywhere; }
}
"""
)
