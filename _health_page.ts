// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { SCRIPT } from "./_page_script.ts";
import { STYLE } from "./_page_style.ts";

/** The page, with a nonce for what may run in it. */
function createHtml(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>heartbeat</title>
<style nonce="${nonce}">${STYLE}</style>
<body>
<header>
  <h1>heartbeat</h1>
  <span id="status" role="status" data-state="">connecting</span>
  <span id="summary"></span>
  <input id="search" type="search" placeholder="Search (/)" aria-label="Search for a worker">
  <button id="theme" type="button">Dark or light</button>
</header>
<main>
  <h2>Workers</h2>
  <div id="rows" class="panel">
    <table>
      <thead><tr><th>Worker<th>Heartbeats<th>State<th>Last beat<th class="detail">Detail</tr></thead>
      <tbody id="workers"></tbody>
    </table>
  </div>
  <div id="cells" class="panel" hidden>
    <canvas id="grid" tabindex="0" role="img" aria-label="All workers, the silent ones first. The arrow keys choose one." aria-describedby="cell"></canvas>
    <div id="cell" aria-live="polite"></div>
    <table class="hidden">
      <caption>The workers, the silent ones first</caption>
      <thead><tr><th>Worker<th>State<th>Last beat<th>Detail</tr></thead>
      <tbody id="hidden-workers"></tbody>
    </table>
  </div>
  <h2 id="events">Events</h2>
  <ol id="log" class="panel" role="log" aria-labelledby="events"></ol>
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
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    },
  });
}
