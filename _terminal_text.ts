// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Text in the cells of a terminal. It has no control characters: see `_escape_text.ts`. */

import getWidth from "npm:string-width@8.3.0";

/** Cuts text that is wider than so many cells; an ellipsis says so. */
export function cut(text: string, width: number): string {
  if (getWidth(text) <= width) return text;
  if (width < 1) return "";
  let shown = "";
  let rest = width - 1;
  for (const character of text) {
    rest -= getWidth(character);
    if (rest < 0) break;
    shown += character;
  }
  return `${shown}…`;
}

/** Text of exactly so many cells. */
export function fit(text: string, width: number): string {
  const shown = cut(text, width);
  return shown + " ".repeat(Math.max(width - getWidth(shown), 0));
}

/** The number of cells of the widest text. */
export function measure(texts: Iterable<string>): number {
  let width = 0;
  for (const text of texts) width = Math.max(width, getWidth(text));
  return width;
}
