// The proof of the trail, made in the browser: each record follows from the one before it, and the origin has signed where it ended.
import { useEffect, useRef, useState } from "preact/hooks";
import { readTrail } from "../../api/audit";
import { AuditChain, KeySet, type AuditProof, type KeywardError } from "../../pkg/keyward";
import { Badge } from "../../ui/badge";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { ready } from "../../wasm";
import { loadKeys } from "../inspect/published";

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "reading"; readonly read: number }
  | { readonly kind: "holds"; readonly proof: AuditProof }
  | { readonly kind: "broken"; readonly what: string }
  | { readonly kind: "failed"; readonly cause: unknown };

export function Chain() {
  const [state, setState] = useState<State>({ kind: "idle" });
  const [kept, setKept] = useState("");
  const running = useRef<AbortController>();
  useEffect(() => () => running.current?.abort(), []);
  const start = () => {
    running.current?.abort();
    const controller = (running.current = new AbortController());
    setState({ kind: "reading", read: 0 });
    prove(kept.split(/\s+/).filter(Boolean), controller.signal, (read) => setState({ kind: "reading", read })).then(setState, (cause: unknown) => {
      if (!controller.signal.aborted) setState({ kind: "failed", cause });
    });
  };
  return (
    <section class="card stack" aria-labelledby="chain">
      <h2 id="chain">Is it all there?</h2>
      <p>
        Every record holds the hash of the one before it, and the origin signs where the trail ends. The whole trail is read and verified here, by the code of <code>keyward audit verify</code>: a
        record that was changed, removed or put in between shows.
      </p>
      <Field
        label="Checkpoints that you have kept"
        hint="Optional, and the stronger proof: one that was kept elsewhere can't be made anew by whoever runs the origin."
      >
        {(control) => <textarea {...control} class="mono" rows={2} spellcheck={false} placeholder="eyJ…" value={kept} onInput={(event) => setKept(event.currentTarget.value)} />}
      </Field>
      <div>
        <button type="button" class="button" aria-busy={state.kind === "reading"} disabled={state.kind === "reading"} onClick={start}>
          Verify the trail
        </button>
      </div>
      <Told state={state} />
    </section>
  );
}

function Told({ state }: { state: State }) {
  switch (state.kind) {
    case "idle":
      return null;
    case "failed":
      return <Fault cause={state.cause} />;
    case "reading":
      return <output role="status">{state.read.toLocaleString()} records read…</output>;
    case "broken":
      return (
        <output class="row" role="status" data-chain="broken">
          <Badge tone="bad">It doesn't hold</Badge> <span>{state.what}</span>
        </output>
      );
    case "holds": {
      const { first, last, proved } = state.proof;
      const vouched = proved === 0 ? "No checkpoint vouches for any of them yet." : `A signed checkpoint vouches for all up to ${proved.toLocaleString()}.`;
      return (
        <output class="row" role="status" data-chain="holds">
          <Badge tone="good">It holds</Badge>
          <span>
            Records {first.toLocaleString()} to {last.toLocaleString()} follow from each other without a gap. {vouched}
          </span>
        </output>
      );
    }
  }
}

async function prove(kept: readonly string[], signal: AbortSignal, progress: (read: number) => void): Promise<State> {
  await ready();
  const published = await loadKeys();
  let keys: KeySet | undefined;
  let chain: AuditChain | undefined;
  let read = 0;
  try {
    await readTrail(
      signal,
      ({ manifest, checkpoint, first }) => {
        // The manifest that was in force when it was exported; the root is the one that this page has.
        keys = KeySet.open(manifest, published ? published.root.split(/[\s,]+/) : [], Date.now());
        chain = AuditChain.begin(keys, [...kept, ...(checkpoint === null ? [] : [checkpoint])], first, Date.now());
      },
      (lines, count) => {
        chain?.read(lines);
        progress((read += count));
      },
    );
    const proof = chain?.finish();
    return proof ? { kind: "holds", proof } : { kind: "broken", what: "The origin sent nothing." };
  } catch (cause) {
    const { name, message } = cause as KeywardError;
    if (name === "KeywardError") return { kind: "broken", what: message };
    throw cause;
  } finally {
    chain?.free();
    keys?.free();
    published?.set.free();
  }
}
