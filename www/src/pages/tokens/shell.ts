// The same exchange for a shell. The key comes from the environment; a token is in the second one.
import { form, type Narrowing } from "../../api/tokens";

export function exchangeLine(origin: string, narrowing: Narrowing): string {
  const fields = [...form(narrowing)].map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)}`);
  return [`curl -sS -X POST ${origin}/oauth/token`, ...fields, `--data-urlencode "subject_token=$KEYWARD_KEY"`].join(" \\\n  ");
}

export function useLine(token: string): string {
  return `curl -sS https://YOUR-EDGE/v1/… \\\n  -H ${quoted(`Authorization: Bearer ${token}`)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
