// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { SCRIPT } from "./_page_script.ts";
import { STYLE } from "./_page_style.ts";

/** The icon of the tab: without one, the browser would ask for a file. */
const ICON =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M2 17h8l3-10 6 19 4-9h7" fill="none" stroke="#1a9c55" stroke-width="4" stroke-linejoin="round"/></svg>`;

/** The page, with a nonce for what may run in it. */
function createHtml(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>heartbeat</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<style nonce="${nonce}">${STYLE}</style>
<body>
<header>
  <h1>heartbeat</h1>
  <span id="status" role="status" data-state="">connecting</span>
  <span id="summary"></span>
  <input id="search" type="search" placeholder="Search (/)" aria-label="Search for a worker" aria-keyshortcuts="/">
  <button id="theme" type="button">Dark or light</button>
</header>
<div id="announcer" class="hidden" aria-live="polite"></div>
<main>
  <section>
  <h2 id="heading">Workers</h2>
  <p id="none" hidden></p>
  <div id="rows" class="panel" hidden>
    <table aria-labelledby="heading">
      <thead><tr><th>Worker<th>Heartbeats<th>State<th class="since">Last beat<th>Detail</tr></thead>
      <tbody id="workers"></tbody>
    </table>
  </div>
  <div id="cells" class="panel" hidden>
    <canvas id="grid" tabindex="0" role="application" aria-label="All workers, the silent ones first. The arrow keys choose one."></canvas>
    <div id="mark" hidden></div>
    <div id="cell"><bdi id="cell-name"></bdi><span id="cell-text"></span></div>
    <div class="hidden"><table>
      <caption id="hidden-caption"></caption>
      <thead><tr><th>Worker<th>State<th>Last beat<th>Detail</tr></thead>
      <tbody id="hidden-workers"></tbody>
    </table></div>
  </div>
  </section>
  <section>
  <h2 id="events">Events</h2>
  <ol id="log" class="panel" role="log" aria-live="off" aria-labelledby="events" tabindex="0"></ol>
  </section>
</main>
<script nonce="${nonce}">${SCRIPT}</script>
</body>
</html>
`;
}

/** The live page. It loads nothing, and connects to nobody but its own server. */
export function createPageResponse(): Response {
  const nonce = crypto.randomUUID();
  return new Response(createHtml(nonce), {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": [
        "default-src 'none'",
        `script-src 'nonce-${nonce}'`,
        `style-src 'nonce-${nonce}'`,
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    },
  });
}
