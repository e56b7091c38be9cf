// What a key or token says, whether it holds, and why a request with it is refused: decided in the browser, by the code that runs
// at the edge. Nothing that is pasted is sent anywhere.
import "../../styles/terms.css";
import "../../styles/inspect.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { KeyPolicy } from "../../api/policy";
import { Choice, Field } from "../../ui/field";
import { Fault } from "../../ui/fault";
import { ready } from "../../wasm";
import { read, statusOf, verify, type Outcome, type Subject, type Where } from "./examine";
import { loadKeys, type Keys } from "./published";
import { Simulate } from "./simulate";
import { Steps, tone } from "./steps";
import { codeWords } from "../../terms/reasons";

interface Published {
  readonly keys: Keys | undefined;
}

export default function Inspect() {
  const [published, setPublished] = useState<Published>();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<"live" | "test">();
  const [audience, setAudience] = useState<string>();
  const [fault, setFault] = useState<unknown>();
  useEffect(() => {
    ready()
      .then(loadKeys)
      .then((keys) => setPublished({ keys }), setFault);
  }, []);
  const found = useMemo(() => (published && text.trim() !== "" ? read(text.trim()) : undefined), [published, text]);
  const subject = found && "text" in found ? found : undefined;
  const environment = chosen ?? subject?.environment ?? "live";
  const where: Where = { environment, audience: audience ?? subject?.audience ?? "" };
  return (
    <div class="page narrow">
      <h1>What does this key say?</h1>
      <p class="faint">
        Paste an API key or a token. It is read and checked by the code that runs at the edge, here in your browser; nothing of it is sent anywhere.
      </p>
      <Field label="API key or token">
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
            onInput={(event) => (setText(event.currentTarget.value), setAudience(undefined), setChosen(undefined))}
          />
        )}
      </Field>
      {subject && (
        <div class="columns">
          <Choice label="At an edge for" value={environment} options={[["live", "live"], ["test", "test"]]} onChange={setChosen} />
          {subject.kind === "token" && (
            <Field label="That is called">
              {(control) => <input {...control} class="mono" spellcheck={false} value={where.audience} onInput={(event) => setAudience(event.currentTarget.value.trim())} />}
            </Field>
          )}
        </div>
      )}
      {fault !== undefined && <Fault cause={fault} />}
      {found && "code" in found && <Verdict kind={found.kind} code={found.code} />}
      {/* What was found of one text never stands under another. */}
      {subject && published && <Found key={`${environment} ${where.audience} ${subject.text}`} subject={subject} where={where} keys={published.keys} />}
      {published && <p class="faint small break" data-published>{describe(published.keys)}</p>}
    </div>
  );
}

function Found({ subject, where, keys }: { subject: Subject; where: Where; keys: Keys | undefined }) {
  const [list, setList] = useState<{ readonly text: string | undefined }>();
  const [told, setTold] = useState<KeyPolicy>();
  const [fault, setFault] = useState<unknown>();
  useEffect(() => {
    if (!keys) return;
    let gone = false;
    statusOf(subject, where, keys).then(
      (text) => !gone && setList({ text }),
      (cause: unknown) => !gone && setFault(cause),
    );
    return () => void (gone = true);
  }, []);
  const outcome = useMemo<Outcome | undefined>(() => (keys && list ? verify(subject, where, keys, list.text, told) : undefined), [list, told]);
  const genuine = outcome?.steps.find(({ rule }) => rule === "signature")?.passed === true;
  return (
    <>
      {keys ? outcome && <Verdict kind={subject.kind} code={outcome.code} /> : <Verdict kind={subject.kind} code="unpublished" />}
      {fault !== undefined && <Fault cause={fault} />}
      {outcome && (
        <section class="card">
          <h2>Checks</h2>
          <Steps label="Checks" steps={outcome.steps} />
        </section>
      )}
      {keys && list && genuine && <Simulate subject={subject} where={where} keys={keys} list={list.text} told={told} onTold={setTold} />}
      <section class="card">
        <h2>Claims</h2>
        <p class="faint">{genuine ? "What the origin signed:" : "What it says of itself, unproved; anybody can write such a thing:"}</p>
        <dl class="facts">
          {subject.claims.map(([name, value]) => (
            <>
              <dt key={name}>{name}</dt>
              <dd class="mono break">{value}</dd>
            </>
          ))}
        </dl>
      </section>
    </>
  );
}

function Verdict({ kind, code }: { kind: "key" | "token"; code: string | null }) {
  const unknown = code === "unpublished";
  const words = code === null ? `This ${kind} is genuine and holds.` : unknown ? "This origin publishes no signing keys to check it with." : codeWords(code);
  return (
    <output class="verdict" data-tone={unknown ? "warn" : tone({ passed: code === null, code })} data-code={code ?? "ok"} role="status">
      {words}
    </output>
  );
}

function describe(keys: Keys | undefined): string {
  return keys
    ? `Signing keys of ${keys.set.issuer}, manifest ${keys.set.version}, root ${keys.root}`
    : "This origin publishes no manifest: keys can be read here, and not verified.";
}
