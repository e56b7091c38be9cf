// Names as they are read: what a page shows collapses blanks, and what isn't seen can't be typed.

/** A text without what isn't seen (format and control characters), and with every run of blanks as one. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cf}|\p{Cc}/gu, "").replaceAll(/\s+/g, " ").trim();
}
