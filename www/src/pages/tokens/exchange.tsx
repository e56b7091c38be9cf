// A key, what a token of it is to be narrowed to, and the token.
import { useMutation, useQuery } from "@tanstack/preact-query";
import { useEffect, useMemo, useState } from "preact/hooks";
import { keyPolicy } from "../../api/policy";
import { exchange } from "../../api/tokens";
import { ApiKey, Policy, type KeywardError } from "../../pkg/keyward";
import { Copy } from "../../ui/copy";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import type { Keys } from "../inspect/published";
import { codeWords } from "../../terms/reasons";
import { Side } from "./compare";
import { changes, narrowing, Presets, useWanted } from "./presets";
import { exchangeLine, useLine } from "./shell";
import { compare, narrowed, terms, type Compared } from "./terms";

interface Props {
  keys: Keys;
  token: string;
  onToken: (token: string) => void;
}

export function Exchange({ keys, token, onToken }: Props) {
  const [text, setText] = useState("");
  const key = useMemo(() => (text.trim() === "" ? undefined : readKey(text.trim())), [text]);
  // A token belongs to the key that it was made from.
  useEffect(() => onToken(""), [text]);
  return (
    <>
      <Field
        label="API key"
        error={key && "code" in key ? codeWords(key.code) : undefined}
        hint="It is sent to this origin when you exchange it, and kept nowhere."
      >
        {(control) => (
          <input
            {...control}
            type="password"
            class="mono"
            spellcheck={false}
            autocomplete="off"
            placeholder="kwd_live_…"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      {key && "id" in key && (key.exchange ? <Narrow key={key.id} keys={keys} raw={text.trim()} id={key.id} token={token} onToken={onToken} /> : <NoExchange />)}
    </>
  );
}

function NoExchange() {
  return (
    <div class="notice" data-tone="warn">
      <strong>This key can't be exchanged</strong>
      <p>It was made without the exchange, which is signed in it: rotate it, or make another one.</p>
    </div>
  );
}

function Narrow({ keys, raw, id, token, onToken }: Props & { raw: string; id: string }) {
  const told = useQuery({ queryKey: ["key-policy", id], queryFn: () => keyPolicy(id) });
  const [wanted, set] = useWanted();
  const held = useMemo(() => told.data && read(told.data.signed, told.data.number, keys), [told.data]);
  const asked = held && narrowing(wanted, held);
  const preview = useMemo(
    () => told.data && asked && left(told.data.signed, told.data.number, keys, changes(asked, wanted)),
    [told.data, JSON.stringify(asked), wanted.where],
  );
  const made = useMutation({
    mutationFn: () => exchange(raw, asked!),
    onSuccess: ({ access_token }) => onToken(access_token),
    gcTime: 0,
  });
  if (told.isPending) return <Loading />;
  if (!told.data || !held || !asked || !preview) return <Fault cause={told.error} retry={() => void told.refetch()} />;
  const beyond = "compared" in preview && preview.compared.some(({ within }) => !within);
  return (
    <div class="split">
      <div class="stack">
        {token !== "" && <Made token={token} />}
        {"compared" in preview ? (
          <Side compared={preview.compared} />
        ) : (
          <div class="notice" data-tone="warn" role="alert">
            <strong>That can't be narrowed to</strong>
            <p>{preview.fault}</p>
          </div>
        )}
        {made.isError && <Fault cause={made.error} />}
        <section class="card stack" aria-labelledby="exchange-line">
          <div class="row">
            <h2 id="exchange-line">For a shell</h2>
            <Copy text={exchangeLine(location.origin, asked)} label="Copy the exchange" />
          </div>
          <pre tabindex={0}>{exchangeLine(location.origin, asked)}</pre>
        </section>
      </div>
      <aside class="card stack aside" aria-label="What is left">
        <h2>What is to be left</h2>
        {/* What was made before isn't what is asked for now. */}
        <Presets held={held} wanted={wanted} set={(changes) => (onToken(""), set(changes))} />
        <button type="button" class="button primary" disabled={made.isPending || beyond || !("compared" in preview)} aria-busy={made.isPending} onClick={() => made.mutate()}>
          Exchange
        </button>
      </aside>
    </div>
  );
}

function Made({ token }: { token: string }) {
  return (
    <section class="card stack" aria-labelledby="made">
      <h2 id="made">The token</h2>
      <code class="break" data-token>
        {token}
      </code>
      <div class="row">
        <Copy text={token} label="Copy the token" words />
        <Copy text={useLine(token)} label="Copy as curl" words />
      </div>
    </section>
  );
}

function readKey(text: string): { readonly id: string; readonly exchange: boolean } | { readonly code: string } {
  try {
    const key = ApiKey.parse(text);
    try {
      return { id: key.id, exchange: key.exchange };
    } finally {
      key.free();
    }
  } catch (cause) {
    return { code: (cause as KeywardError).code };
  }
}

function read(signed: string, number: number, keys: Keys) {
  const policy = Policy.open(signed, number, keys.set, Date.now());
  try {
    return terms(policy);
  } finally {
    policy.free();
  }
}

/** What would be left, beside what is held. */
function left(signed: string, number: number, keys: Keys, less: Parameters<typeof narrowed>[1]): { readonly compared: Compared[] } | { readonly fault: string } {
  const policy = Policy.open(signed, number, keys.set, Date.now());
  try {
    const other = narrowed(policy, less);
    try {
      return { compared: compare(policy, other) };
    } finally {
      other.free();
    }
  } catch (cause) {
    return { fault: (cause as KeywardError).message };
  } finally {
    policy.free();
  }
}
