// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * What a terminal or a log viewer does not show as it is: control characters (Cc:
 * C0, DEL, C1), invisible ones that change how others are shown (Cf and the
 * default ignorable ones: bidi, zero width, tags, variation selectors), line and
 * paragraph separators (Zl, Zp), and lone surrogates (Cs).
 */
export const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** As in JSON: `\n`, or `\u` with four digits for each UTF-16 unit. */
function escapeCharacter(character: string): string {
  switch (character) {
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
  }
  let escaped = "";
  for (let i = 0; i < character.length; i++) {
    const unit = character.charCodeAt(i);
    escaped += `\\u${unit.toString(16).padStart(4, "0")}`;
  }
  return escaped;
}

/**
 * Makes text from elsewhere safe to print, JSON included: one line without control
 * characters. The public `escapeText()` of `nats.ts` documents it.
 */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}
