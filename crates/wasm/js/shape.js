// Whether a text could be an API key, by what can be told without looking at all of it: its length, where the label
// ends, and how the label and the body begin and end. Junk ends here, before it costs a call into WebAssembly; whether
// every character of the rest is a digit is told there, in vectors, in less time than a loop over it would take here.
//
//     {prefix of 2 to 12}_{live|test}_{135 digits of 0-9A-Za-z}

const BODY = 135;
const ENVIRONMENT = 4;
const SHORTEST = 2 + 1 + ENVIRONMENT + 1 + BODY;
const LONGEST = 12 + 1 + ENVIRONMENT + 1 + BODY;
/** The most bytes that a shaped text can have: three a character, since characters are not looked at. */
export const MOST_BYTES = 3 * LONGEST;

const UNDERSCORE = 0x5f;
const isLower = (code) => code >= 0x61 && code <= 0x7a;
const isDigit = (code) => (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || isLower(code);

export function isShaped(text) {
  const length = text.length;
  if (length < SHORTEST || length > LONGEST) return false;
  const body = length - BODY;
  const environment = body - 1 - ENVIRONMENT;
  const first = text.charCodeAt(environment);
  return (
    text.charCodeAt(body - 1) === UNDERSCORE &&
    text.charCodeAt(environment - 1) === UNDERSCORE &&
    // live or test; which of its letters are wrong is told in WebAssembly.
    (first === 0x6c || first === 0x74) &&
    isLower(text.charCodeAt(0)) &&
    isDigit(text.charCodeAt(body)) &&
    isDigit(text.charCodeAt(length - 1))
  );
}
