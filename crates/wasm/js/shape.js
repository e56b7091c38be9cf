// Whether a text could be an API key, by its length, its label, and how its body begins and ends. Junk ends here, before
// it costs a call into WebAssembly. Whether each character in between is a digit is told there, eight at a time: a loop
// over them here would cost more than the call.
//
//     {prefix: a letter and 1 to 11 letters or digits, lower case}_{live|test}_{135 digits of 0-9A-Za-z}

const BODY = 135;
const ENVIRONMENT = 4;
export const SHORTEST = 2 + 1 + ENVIRONMENT + 1 + BODY;
export const LONGEST = 12 + 1 + ENVIRONMENT + 1 + BODY;

const UNDERSCORE = 0x5f;
const LIVE = 0x6c697665;
const TEST = 0x74657374;

const isLower = (code) => code >= 0x61 && code <= 0x7a;
const isNumber = (code) => code >= 0x30 && code <= 0x39;
const isDigit = (code) => isNumber(code) || (code >= 0x41 && code <= 0x5a) || isLower(code);

export function isShaped(text) {
  const length = text.length;
  if (length < SHORTEST || length > LONGEST) return false;
  const body = length - BODY;
  const environment = body - 1 - ENVIRONMENT;
  const prefix = environment - 1;
  if (text.charCodeAt(body - 1) !== UNDERSCORE || text.charCodeAt(prefix) !== UNDERSCORE) return false;
  let named = 0;
  for (let at = environment; at < body - 1; at++) {
    const code = text.charCodeAt(at);
    // Another character's bits would run into its neighbour's.
    if (code > 0x7f) return false;
    named = (named << 8) | code;
  }
  if ((named !== LIVE && named !== TEST) || !isLower(text.charCodeAt(0))) return false;
  for (let at = 1; at < prefix; at++) {
    const code = text.charCodeAt(at);
    if (!isLower(code) && !isNumber(code)) return false;
  }
  return isDigit(text.charCodeAt(body)) && isDigit(text.charCodeAt(length - 1));
}
