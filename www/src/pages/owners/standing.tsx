// Disabling an owner stops everything that it has; enabling it brings back nothing by itself. Both are said before.
import { useQuery } from "@tanstack/preact-query";
import { useId, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { bulk } from "../../api/keys";
import { useUpdateOwner, type Owner } from "../../api/owners";
import { useCaller, useCan } from "../../api/session";
import { acting } from "../../api/tenant";
import type { KeyStatus } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { plain } from "../../ui/plain";
import { toast } from "../../ui/toast";

/** How many keys of the owner are like that: exact up to a chunk. */
function useCount(owner: string, status: KeyStatus): string | undefined {
  const can = useCan();
  const action = status === "active" ? "suspend" : "resume";
  const { data } = useQuery({
    queryKey: ["keys", "count", owner, status],
    queryFn: () => bulk(action, { filter: { owner_id: owner, status }, dry_run: true }, acting()),
    enabled: can("keys:update"),
    staleTime: 0,
  });
  return data && `${data.matched.toLocaleString()}${data.next_cursor ? " or more" : ""}`;
}

export function StandingDialog({ owner, onClose }: { owner: Owner; onClose: () => void }) {
  const form = useId();
  const caller = useCaller();
  const [typed, setTyped] = useState("");
  const update = useUpdateOwner(owner.id);
  const count = useCount(owner.id, owner.disabled ? "suspended" : "active");
  const disables = !owner.disabled;
  const missing = disables && plain(typed) !== plain(owner.id);
  const submit = (event: Event) => {
    event.preventDefault();
    if (missing) return;
    update.mutate({ disabled: disables }, { onSuccess: () => (toast(`${owner.name} is ${disables ? "disabled" : "enabled"}.`), onClose()) });
  };
  const button = (
    <button form={form} class={disables ? "button danger sure" : "button primary"} disabled={missing || update.isPending} aria-busy={update.isPending}>
      {disables ? "Disable the owner" : "Enable the owner"}
    </button>
  );
  const keys = (status: KeyStatus) => `/keys?owner_id=${encodeURIComponent(owner.id)}&status=${status}`;
  return (
    <Dialog title={`${disables ? "Disable" : "Enable"} ${owner.id}`} onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        {disables ? (
          <>
            <p>
              All of its active keys{count && <> (<Link href={keys("active")}>{count}</Link>)</>} are suspended, and refused everywhere within a second; so are their tokens. No key can be made for it or resumed until it is enabled.
            </p>
            {owner.id === caller.owner && (
              <div class="notice" data-tone="bad">
                <strong>That is you</strong>
                <p>The key that is signed in is among them: this session ends with it.</p>
              </div>
            )}
            <Field label={`Type ${owner.id} to go on`}>
              {(control) => <input {...control} autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}
            </Field>
          </>
        ) : (
          <p>
            Keys can be made for it again. Those that were suspended{count && <> (<Link href={keys("suspended")}>{count}</Link>)</>} stay so: resume the ones that are wanted.
          </p>
        )}
        {update.isError && <Fault cause={update.error} />}
      </form>
    </Dialog>
  );
}
