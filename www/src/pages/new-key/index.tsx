// Making a key: the form, what it comes to, and a place to try it out before anything is saved.
import "../../styles/terms.css";
import { useId, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useScopes } from "../../api/catalogue";
import { useCreateKey } from "../../api/keys";
import { problem } from "../../api/problem";
import { Preview } from "./preview";
import { empty, read, toCreate, type Draft } from "../../terms/draft";
import { TermsForm } from "../../terms/form";
import { TryOut } from "../../terms/try-out";
import { Fault } from "../../ui/fault";
import { useKept } from "../../ui/kept";
import { reveal } from "../../ui/secret";

export default function NewKey() {
  const [, navigate] = useLocation();
  const form = useId();
  const [page] = useState(() => location.href);
  const [draft, setDraft] = useKept("new key", empty);
  // Stands for what is being made: another draft is another attempt.
  const [attempt, setAttempt] = useState(() => crypto.randomUUID());
  const create = useCreateKey(({ raw_key, api_key: { id, name } }) => {
    reveal({ text: raw_key, name, onKept: () => location.href === page && navigate(`/keys/${id}`) });
  });
  const scopes = useScopes();
  const defaults = scopes.data?.find((scope) => scope.value === draft.scope)?.default_limits;
  const change = (changes: Partial<Draft>) => {
    setDraft((now) => ({ ...now, ...changes }));
    setAttempt(crypto.randomUUID());
  };
  const submit = (event: Event) => {
    event.preventDefault();
    create.mutate({ key: toCreate(draft), attempt });
  };
  const unfinished = draft.name.trim() === "" || (draft.constraints.trim() !== "" && read(draft.constraints) === undefined);
  return (
    <div class="page">
      <div class="page-head">
        <h1>New key</h1>
      </div>
      <div class="split">
        <form id={form} class="stack" onSubmit={submit}>
          <TermsForm draft={draft} onChange={change} problem={create.error ? problem(create.error) : undefined} />
          {create.isError && <Fault cause={create.error} />}
          <div class="row end">
            <button type="button" class="button" onClick={() => navigate("/keys")}>
              Cancel
            </button>
            <button class="button primary" disabled={unfinished || create.isPending} aria-busy={create.isPending}>
              Create key
            </button>
          </div>
        </form>
        <aside class="aside stack" aria-label="What it comes to">
          <TryOut draft={draft} defaults={defaults} />
          <Preview draft={draft} defaults={defaults} />
        </aside>
      </div>
    </div>
  );
}
