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
  margin: 0 auto; padding: 1rem; max-width: 100rem;
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
::placeholder { color: var(--faint); opacity: 1; }
button {
  font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .6rem;
}
:focus-visible { outline: 2px solid var(--up); outline-offset: 1px; }
.panel {
  background: var(--panel); border: 1px solid var(--line);
  border-radius: .5rem; overflow: auto; position: relative;
}
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; white-space: nowrap; }
th { color: var(--faint); font-weight: 500; font-size: .85rem; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; font-size: 1em; color: inherit; }
.name, .detail { overflow: hidden; text-overflow: ellipsis; white-space: pre; unicode-bidi: isolate; }
.name { max-width: 16rem; }
.detail { color: var(--faint); max-width: 0; width: 99%; min-width: 8rem; }
.since { font-variant-numeric: tabular-nums; text-align: right; min-width: 6.5rem; }
.state { min-width: 5.5rem; }
td.trace { padding: 0 .3rem; }
td.trace canvas { display: block; width: 240px; height: 34px; }
.up .state { color: var(--up); }
.down .state { color: var(--down); font-weight: 600; }
tr.down { background: color-mix(in srgb, var(--down) 7%, transparent); }
.expected .state { color: var(--expected); }
.left, .left .state { color: var(--left); }
.blind tbody .state { color: var(--faint); font-weight: inherit; }
.blind tr.down { background: none; }
.blind canvas { filter: grayscale(1); opacity: .5; }
#none { color: var(--faint); }
#rows:not([hidden]) + #cells { margin-top: .6rem; }
#cells { border-top-left-radius: 0; }
#mark { position: absolute; outline: 2px solid var(--text); box-shadow: 0 0 0 4px var(--back); pointer-events: none; }
#grid { display: block; width: 100%; }
#grid:focus-visible { outline-offset: -2px; }
#cell { padding: .4rem .6rem; min-height: 2.2rem; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
#cell-name { font-weight: 600; white-space: pre-wrap; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
#log { margin: 0; padding: .3rem .6rem; list-style: none; max-height: 16rem; font-size: .9rem; }
#log:empty::before { content: "Nothing has happened yet."; color: var(--faint); }
#log li { display: flex; gap: .6rem; }
#log time { color: var(--faint); font-variant-numeric: tabular-nums; white-space: nowrap; }
#log b { min-width: 4.8rem; }
#log span { overflow: hidden; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; }
#log bdi { white-space: pre-wrap; }
#log .down b, #log .refused b { color: var(--down); }
#log .up b, #log .recovered b { color: var(--up); }
@media (min-width: 70rem) {
  main { display: grid; grid-template-columns: minmax(0, 1fr) 21rem; gap: 1rem; }
  #log { max-height: calc(100vh - 7.5rem); position: sticky; top: 1rem; }
}
@media (max-width: 40rem) {
  body { padding: .6rem; }
  #summary { width: 100%; }
  #search { flex: 1; }
  h2 { margin-top: .75rem; }
  #rows thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  #workers tr {
    display: grid; grid-template: "name name state since" "trace detail detail detail" / 114px 1fr auto auto;
    padding: .2rem .3rem;
  }
  #workers th, #workers td { padding: .1rem .3rem; min-width: 0; max-width: none; width: auto; }
  #workers .name { grid-area: name; }
  #workers .trace { grid-area: trace; }
  #workers .state { grid-area: state; }
  #workers .since { grid-area: since; min-width: 5.5rem; }
  #workers .detail { grid-area: detail; align-self: center; }
  td.trace canvas { width: 104px; height: 28px; }
}
@media print {
  :root { color-scheme: light !important; }
  #search, #theme { display: none; }
  main { display: block; }
  .panel, #log { overflow: visible; max-height: none; }
  tr, li { break-inside: avoid; }
}
`;
