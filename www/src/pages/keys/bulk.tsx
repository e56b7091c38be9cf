// One action on many keys: those that are selected, or all that the filter has. It is said how many before anything is done.
import { useEffect, useRef, useState } from "preact/hooks";
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { ask } from "../../api/client";
import { bulk, type BulkAction } from "../../api/keys";
import { problem } from "../../api/problem";
import { useCaller } from "../../api/session";
import { acting } from "../../api/tenant";
import type { Bulk, Key, KeyFilter } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Field } from "../../ui/field";
import { toast } from "../../ui/toast";

/** Which keys. */
export type Meant = { readonly ids: readonly string[] } | { readonly filter: KeyFilter };

const WORDS: Record<BulkAction, { title: string; done: string; what: string }> = {
  suspend: { title: "Suspend keys", done: "suspended", what: "They are refused everywhere within a second, until they are resumed." },
  resume: { title: "Resume keys", done: "resumed", what: "They can be used again, as they were before." },
  revoke: { title: "Revoke keys", done: "revoked", what: "They are refused everywhere within a second, for ever. This can't be undone." },
  reassign: { title: "Reassign keys", done: "reassigned", what: "They belong to another owner from then on; what they may do stays." },
};
/** Chunks of 500 that are counted before it says "more than". */
const MOST_COUNTED = 10;

export function BulkDialog({ action, meant, onClose }: { action: BulkAction; meant: Meant; onClose: (done: boolean) => void }) {
  const { title, done, what } = WORDS[action];
  const client = useQueryClient();
  // All chunks go where the list is, wherever somebody goes meanwhile.
  const [tenant] = useState(() => acting());
  const stopped = useRef(false);
  const [owner, setOwner] = useState("");
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [changed, setChanged] = useState<number>();
  const [fault, setFault] = useState<unknown>();
  const counted = useCount(action, meant, owner, tenant);
  const running = changed !== undefined && fault === undefined;

  const run = async () => {
    let sum = changed ?? 0;
    setFault(undefined);
    setChanged(sum);
    try {
      const finished = await each(action, request(meant, action, owner, reason), tenant, (chunk) => {
        setChanged((sum += chunk));
        return !stopped.current;
      });
      toast(`${sum.toLocaleString()} ${sum === 1 ? "key" : "keys"} ${done}${acting() === tenant ? "" : " in the tenant that you left"}${finished ? "" : "; then stopped"}.`, finished ? "good" : "warn");
      onClose(true);
    } catch (cause) {
      setFault(cause);
    } finally {
      await client.invalidateQueries({ queryKey: ["keys"] });
    }
  };
  const missing = (action === "reassign" && owner.trim() === "") || (action === "revoke" && typed.trim() !== counted.word);
  const submit = (event: Event) => {
    event.preventDefault();
    void run();
  };
  return (
    <Dialog
      title={title}
      firm={running}
      onClose={() => onClose(changed !== undefined)}
      actions={
        running ? (
          <button type="button" class="button" onClick={() => (stopped.current = true)}>
            Stop after this chunk
          </button>
        ) : (
          <button
            form="bulk"
            class={action === "revoke" ? "button danger sure" : "button primary"}
            disabled={missing || counted.matched === undefined || counted.matched === 0}
          >
            {title}
          </button>
        )
      }
    >
      <form id="bulk" class="stack" onSubmit={submit}>
        <p>
          <strong>{counted.words}</strong> {what}
        </p>
        {(action === "suspend" || action === "revoke") && <Lived meant={meant} tenant={tenant} />}
        {counted.fault !== undefined && <Fault cause={counted.fault} />}
        {action === "reassign" && (
          <Field label="New owner">
            {(control) => <input {...control} value={owner} maxLength={128} onInput={(event) => setOwner(event.currentTarget.value)} />}
          </Field>
        )}
        {action === "revoke" && (
          <>
            <Field label="Reason" hint="Kept, and shown with each key.">
              {(control) => <input {...control} value={reason} maxLength={256} onInput={(event) => setReason(event.currentTarget.value)} />}
            </Field>
            <Field label={`Type ${counted.word ?? "…"} to go on`}>
              {(control) => <input {...control} autocomplete="off" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}
            </Field>
          </>
        )}
        {changed !== undefined && <p role="status">{changed.toLocaleString()} changed so far. Each chunk of up to 500 is done as a whole.</p>}
        {fault !== undefined && <Fault cause={fault} />}
        {fault !== undefined && problem(fault).lost && <p>The answer was lost: one more chunk may have been done than is counted here. Going on does it again, which changes nothing twice.</p>}
      </form>
    </Dialog>
  );
}

/** Most keys that are looked at for those that much depends on. */
const MOST_LOOKED_AT = 1000;

/** Of the keys that are about to be stopped: one's own, and those by which edges follow the origin. */
function Lived({ meant, tenant }: { meant: Meant; tenant: string | undefined }) {
  const caller = useCaller();
  const filter = "filter" in meant ? meant.filter : {};
  const { data } = useQuery({
    queryKey: ["keys", "lived by", meant, caller.key],
    queryFn: async ({ signal }) => {
      const list = async (also: KeyFilter) => (await ask<Key[]>("GET", "/api/v1/api-keys", { query: { ...filter, ...also, limit: MOST_LOOKED_AT, tenant }, signal })).value;
      const [own, sync] = await Promise.all([
        filter.owner_id === undefined || filter.owner_id === caller.owner ? list({ owner_id: caller.owner }) : [],
        filter.capability === undefined || filter.capability === "edge:sync" ? list({ capability: "edge:sync" }) : [],
      ]);
      const met = ({ id, status }: Key) => status !== "revoked" && (!("ids" in meant) || meant.ids.includes(id));
      return { own: own.filter(({ id }) => id === caller.key).some(met), sync: sync.filter(met).map(({ name }) => name) };
    },
    staleTime: 0,
  });
  return (
    <>
      {data?.own && (
        <div class="notice" data-tone="bad">
          <strong>Your own key is among them</strong>
          <p>This session ends with it, and what comes after it isn't done.</p>
        </div>
      )}
      {data !== undefined && data.sync.length > 0 && (
        <div class="notice" data-tone="bad">
          <strong>Edges can follow this origin by some of them</strong>
          <p>
            {data.sync.slice(0, 5).join(", ")}
            {data.sync.length > 5 && ` and ${data.sync.length - 5} more`}: an edge that does learns of no change from then on, and soon answers by its outage mode.
          </p>
        </div>
      )}
    </>
  );
}

interface Count {
  readonly matched?: number;
  /** What shows that the number was read; where they are too many to be counted, `all`. */
  readonly word?: string;
  readonly words: string;
  readonly fault?: unknown;
}

function useCount(action: BulkAction, meant: Meant, owner: string, tenant: string | undefined): Count {
  const [count, setCount] = useState<Count>({ words: "Counting…" });
  useEffect(() => {
    if ("ids" in meant) return setCount({ matched: meant.ids.length, word: String(meant.ids.length), words: `${meant.ids.length} selected ${meant.ids.length === 1 ? "key" : "keys"}.` });
    let left = false;
    const counted = { matched: 0, chunks: 0 };
    // Whose they'd be makes no difference to how many they are.
    const asked = { ...request(meant, action, owner || "-", ""), dry_run: true };
    const add = (_changed: number, matched: number) => {
      counted.matched += matched;
      return !left && ++counted.chunks < MOST_COUNTED;
    };
    each(action, asked, tenant, add).then(
      (all) => !left && setCount({ matched: counted.matched, word: all ? String(counted.matched) : "all", words: `${all ? "" : "More than "}${counted.matched.toLocaleString()} keys match the filter.` }),
      (fault: unknown) => !left && setCount({ words: "Can't be counted.", fault }),
    );
    return () => void (left = true);
  }, []);
  return count;
}

function request(meant: Meant, action: BulkAction, owner: string, reason: string): Bulk {
  const which: Bulk = "ids" in meant ? { ids: [...meant.ids] } : { filter: meant.filter };
  if (action === "reassign") which.owner_id = owner.trim();
  if (action === "revoke" && reason.trim() !== "") which.reason = reason.trim();
  return which;
}

/** Chunk by chunk, until all is done or `go` says no. Whether all was. */
async function each(action: BulkAction, request: Bulk, tenant: string | undefined, go: (changed: number, matched: number) => boolean): Promise<boolean> {
  let cursor: string | undefined;
  do {
    const answer = await bulk(action, cursor === undefined ? request : { ...request, cursor }, tenant);
    cursor = answer.next_cursor ?? undefined;
    if (!go(answer.changed, answer.matched)) return cursor === undefined;
  } while (cursor !== undefined);
  return true;
}
