// What a key says: read and checked in the browser, by the code that runs at the edge. The key is sent nowhere.
import "../../styles/inspect.css";
import { useEffect, useState } from "preact/hooks";
import { ready } from "../../wasm";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { inspect, type Inspection } from "./inspect";
import { loadKeys, type Keys } from "./published";

interface Published {
  readonly keys: Keys | undefined;
}

export default function Inspect() {
  const [published, setPublished] = useState<Published>();
  const [text, setText] = useState("");
  const [inspection, setInspection] = useState<Inspection>();
  const [fault, setFault] = useState<unknown>();

  useEffect(() => {
    ready()
      .then(loadKeys)
      .then((keys) => setPublished({ keys }), setFault);
  }, []);
  useEffect(() => {
    setInspection(undefined);
    if (!published || text.trim() === "") return;
    // An answer that comes late mustn't stand under a newer key.
    let late = false;
    inspect(text.trim(), published.keys).then(
      (found) => !late && (setFault(undefined), setInspection(found)),
      (cause: unknown) => !late && setFault(cause),
    );
    return () => void (late = true);
  }, [published, text]);

  return (
    <div class="page narrow">
      <h1>What does this key say?</h1>
      <p class="faint">
        Paste an API key. It is read and checked by the code that runs at the edge, here in your browser; the key is sent nowhere.
      </p>
      <Field label="API key">
        {(control) => (
          <textarea
            {...control}
            class="mono"
            rows={3}
            spellcheck={false}
            autocomplete="off"
            autocapitalize="off"
            placeholder="kwd_live_…"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      <Verdict inspection={inspection} />
      {fault !== undefined && <Fault cause={fault} />}
      {inspection && <Found inspection={inspection} />}
      {published && <p class="faint small break" data-published>{describe(published.keys)}</p>}
    </div>
  );
}

function Verdict({ inspection }: { inspection: Inspection | undefined }) {
  const failed = inspection?.checks.find((check) => check.passed === false);
  const open = inspection?.checks.find((check) => check.passed === undefined);
  const [tone, words] = !inspection
    ? ["plain", ""]
    : failed
      ? ["bad", failed.detail]
      : open
        ? ["warn", `${open.name}: ${open.detail.toLowerCase()}`]
        : ["good", "This key is genuine and holds."];
  return (
    <output class="verdict" data-tone={tone} role="status">
      {words}
    </output>
  );
}

function Found({ inspection: { checks, claims, genuine } }: { inspection: Inspection }) {
  return (
    <>
      <section class="card">
        <h2>Checks</h2>
        <ol class="checks">
          {checks.map(({ name, passed, detail }) => (
            <li key={name} data-tone={passed === undefined ? "warn" : passed ? "good" : "bad"}>
              <strong>{name}</strong>
              <span>{detail}</span>
            </li>
          ))}
        </ol>
      </section>
      {claims.length > 0 && (
        <section class="card">
          <h2>Claims</h2>
          <p class="faint">{genuine ? "What the origin signed:" : "What it says of itself, unproved; anybody can write such a thing:"}</p>
          <dl class="facts">
            {claims.map(([name, value]) => (
              <>
                <dt key={name}>{name}</dt>
                <dd class="mono">{value}</dd>
              </>
            ))}
          </dl>
        </section>
      )}
    </>
  );
}

function describe(keys: Keys | undefined): string {
  return keys
    ? `Signing keys of ${keys.set.issuer}, manifest ${keys.set.version}, root ${keys.root}`
    : "This origin publishes no manifest: keys can be read here, and not verified.";
}
