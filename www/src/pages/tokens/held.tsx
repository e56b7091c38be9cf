// Any token, verified here and held against the policy of its key.
import { useQuery } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { keyPolicy } from "../../api/policy";
import { Policy } from "../../pkg/keyward";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { narrowedBy, read, statusOf, verify, type Subject } from "../inspect/examine";
import type { Keys } from "../inspect/published";
import { Steps, tone } from "../inspect/steps";
import { codeWords } from "../../terms/reasons";
import { Side } from "./compare";
import { compare } from "./terms";

interface Props {
  keys: Keys;
  text: string;
  onText: (text: string) => void;
}

export function Held({ keys, text, onText }: Props) {
  const found = useMemo(() => (text.trim() === "" ? undefined : read(text.trim())), [text]);
  const token = found && "text" in found && found.kind === "token" ? found : undefined;
  return (
    <>
      <Field
        label="Token"
        error={found && !token ? "This is no token." : undefined}
        hint="Read and verified here, in your browser. Of it the origin is asked for its key's policy alone, by the key's id."
      >
        {(control) => (
          <textarea {...control} class="mono" rows={4} spellcheck={false} autocomplete="off" placeholder="eyJ…" value={text} onInput={(event) => onText(event.currentTarget.value)} />
        )}
      </Field>
      {token && <Shown key={token.text} token={token} keys={keys} />}
    </>
  );
}

function Shown({ token, keys }: { token: Subject; keys: Keys }) {
  const where = { environment: token.environment, audience: token.audience ?? "" };
  const list = useQuery({ queryKey: ["status", token.list, token.text.slice(-16)], queryFn: async () => ({ text: await statusOf(token, where, keys) }) });
  const told = useQuery({ queryKey: ["key-policy", token.keyId], queryFn: () => keyPolicy(token.keyId!), enabled: token.keyId !== undefined });
  const outcome = list.data && verify(token, where, keys, list.data.text, told.data);
  const compared = useMemo(() => {
    if (!told.data || !list.data) return undefined;
    const policy = Policy.open(told.data.signed, told.data.number, keys.set, Date.now());
    const narrowed = narrowedBy(token, where, keys, list.data.text, told.data, policy);
    try {
      return narrowed && compare(policy, narrowed);
    } finally {
      narrowed?.free();
      policy.free();
    }
  }, [told.data, list.data]);
  if (list.isError) return <Fault cause={list.error} retry={() => void list.refetch()} />;
  if (!outcome) return <Loading />;
  return (
    <>
      <output class="verdict" role="status" data-tone={tone({ passed: outcome.code === null, code: outcome.code })} data-code={outcome.code ?? "ok"}>
        {outcome.code === null ? "This token is genuine and holds." : codeWords(outcome.code)}
      </output>
      {told.isError && <Fault cause={told.error} />}
      {compared && <Side compared={compared} />}
      <section class="card">
        <h2>Checks</h2>
        <Steps label="Checks" steps={outcome.steps} />
      </section>
    </>
  );
}
