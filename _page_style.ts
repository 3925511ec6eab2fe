// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The style of the live page. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: light-dark(#fbfbf9, #14171a);
  --panel: light-dark(#ffffff, #1c2126);
  --line: light-dark(#dcdcd6, #323a42);
  --text: light-dark(#1d2227, #e4e8ec);
  --faint: light-dark(#5d666f, #98a3ae);
  --up: light-dark(#0b7a3e, #38c172);
  --down: light-dark(#c2201d, #ff6b61);
  --expected: light-dark(#8a6100, #e2b13c);
  --left: light-dark(#6b7580, #7d8894);
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 80rem;
  background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif;
}
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
#status { padding: .15rem .6rem; border-radius: 1rem; border: 1px solid currentColor; }
#status[data-state="live"] { color: var(--up); }
#status[data-state="blind"] { color: var(--expected); }
#status[data-state="lost"] { color: var(--down); }
#summary { color: var(--faint); }
#search {
  margin-left: auto; padding: .3rem .6rem; min-width: 0; width: 14rem;
  font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: .4rem;
}
button {
  font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .6rem;
}
:focus-visible { outline: 2px solid var(--up); outline-offset: 1px; }
.panel {
  background: var(--panel); border: 1px solid var(--line);
  border-radius: .5rem; overflow: auto;
}
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; white-space: nowrap; }
th { color: var(--faint); font-weight: 500; font-size: .85rem; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; font-size: 1em; color: inherit; max-width: 16rem; overflow: hidden; text-overflow: ellipsis; }
td.detail { color: var(--faint); max-width: 18rem; overflow: hidden; text-overflow: ellipsis; width: 99%; }
td.since { font-variant-numeric: tabular-nums; text-align: right; }
td.trace { padding: 0 .3rem; }
td.trace canvas { display: block; width: 240px; height: 34px; }
.up .state { color: var(--up); }
.down .state { color: var(--down); font-weight: 600; }
.expected .state { color: var(--expected); }
.left, .left .state { color: var(--left); }
.blind td.trace canvas, .blind #grid { opacity: .35; }
#grid { display: block; width: 100%; }
#cell { padding: .4rem .6rem; min-height: 2.2rem; border-top: 1px solid var(--line); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
#log { margin: 0; padding: .3rem .6rem; list-style: none; max-height: 16rem; font-size: .9rem; }
#log:empty::before { content: "Nothing has happened yet."; color: var(--faint); }
#log time { color: var(--faint); margin-right: .6rem; font-variant-numeric: tabular-nums; }
#log b { display: inline-block; min-width: 6rem; }
#log .down b { color: var(--down); }
#log .up b, #log .recovered b { color: var(--up); }
@media (max-width: 40rem) {
  body { padding: .6rem; }
  #search { width: 100%; margin: 0; }
  th.detail, td.detail { display: none; }
  th, td { padding: .3rem; }
  td.trace canvas { width: 96px; }
  tbody th { max-width: 6.5rem; }
}
`;
