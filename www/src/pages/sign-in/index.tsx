// Signing in: the key goes to the origin once, for a session.
import { useState } from "preact/hooks";
import { lastEnd, useSignIn } from "../../api/session";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";

export function SignIn() {
  const signIn = useSignIn();
  const [key, setKey] = useState("");
  // No header can carry anything else.
  const foreign = /[^\x21-\x7e]/.test(key.trim());
  const submit = (event: Event) => {
    event.preventDefault();
    if (foreign) return;
    signIn.mutate(key.trim(), { onSuccess: () => setKey("") });
  };
  return (
    <div class="page narrow">
      <h1>Sign in</h1>
      {lastEnd && !signIn.isError && (
        <div class="notice" data-tone="warn" role="status">
          <strong>Your session has ended</strong>
          <p>
            {lastEnd.title} (<code>{lastEnd.code}</code>). A session lasts 12 hours, an hour without use, and never longer than its key.
          </p>
        </div>
      )}
      <form class="card stack" onSubmit={submit}>
        <Field
          label="API key"
          error={foreign ? "No key has such characters: was it shortened, or copied with something beside it?" : undefined}
          hint="One that may manage keys. It is exchanged for a session at once, and kept neither here nor in the browser."
        >
          {(control) => (
            <input
              {...control}
              type="password"
              class="mono"
              autocomplete="off"
              spellcheck={false}
              required
              placeholder="kwd_live_…"
              value={key}
              onInput={(event) => setKey(event.currentTarget.value)}
            />
          )}
        </Field>
        {signIn.isError && <Fault cause={signIn.error} />}
        <div class="row end">
          <button class="button primary" disabled={key.trim() === "" || foreign || signIn.isPending} aria-busy={signIn.isPending}>
            Sign in
          </button>
        </div>
      </form>
      <p class="faint">
        The first key of an origin was written to its data directory when it started, as <code>admin.key</code>. More are made with{" "}
        <code>keyward keys create</code>. To look at a key without signing in, there is the <a href="/inspect">inspector</a>.
      </p>
    </div>
  );
}
