// A rotation on its way: the use of the old raw key against that of the new one, and the end of it.
import { useEndRotation, useKeyUsage } from "../../api/keys";
import { problem } from "../../api/problem";
import { useCan } from "../../api/session";
import type { CredentialUsage, Key } from "../../api/types";
import { Meters } from "../../ui/meters";
import { Time, useNow } from "../../ui/time";
import { toast } from "../../ui/toast";

/** Without a request for so long the old raw key is quiet. */
const QUIET_MS = 15 * 60_000;

export function Rotating({ apiKey: key }: { apiKey: Key }) {
  const can = useCan();
  const end = useEndRotation(key);
  const former = key.credentials.find(({ current }) => !current);
  if (!former) return null;
  const turn = (how: "finish" | "cancel") =>
    end.mutate(how, {
      onSuccess: () => toast(how === "finish" ? "The old raw key has ended." : "The new raw key has ended; the old one is as before."),
      onError: (cause) => toast(`${problem(cause).title} (${problem(cause).code})`, "bad"),
    });
  return (
    <section class="notice" data-tone="info" aria-labelledby="rotating">
      <strong id="rotating">A rotation is on its way</strong>
      <p>
        Both raw keys hold. The old one, <code>{former.key_hint ?? "without a hint"}</code>, ends by itself <Time at={former.expires_at} />.
      </p>
      <CutOver apiKey={key} />
      {can("keys:rotate") && (
        <div class="row">
          <button type="button" class="button primary" disabled={end.isPending} onClick={() => turn("finish")}>
            Finish: end the old one now
          </button>
          <button type="button" class="button" disabled={end.isPending} onClick={() => turn("cancel")}>
            Cancel: end the new one
          </button>
        </div>
      )}
    </section>
  );
}

/** Old against new, as the edges have counted since the rotation. */
function CutOver({ apiKey: { id } }: { apiKey: Key }) {
  const now = useNow();
  const { data } = useKeyUsage(id, 1, "hour");
  const credentials = data?.credentials ?? [];
  const former = credentials.find(({ current }) => !current);
  const current = credentials.find(({ current }) => current);
  if (!former || !current) return null;
  const quiet = former.last_used === null || now - Date.parse(former.last_used) > QUIET_MS;
  const name = ({ key_hint }: CredentialUsage, words: string) => `${words}: ${key_hint ?? "without a hint"}`;
  return (
    <div class="stack tight" data-cut-over={quiet ? "quiet" : "in use"}>
      <Meters
        title="Requests since the rotation"
        of={[
          { name: name(former, "old"), value: former.requests, tone: "warn" },
          { name: name(current, "new"), value: current.requests, tone: "good" },
        ]}
      />
      <p>
        The old one was last used <Time at={former.last_used} />, the new one <Time at={current.last_used} />.{" "}
        {quiet
          ? current.requests > 0
            ? "The old one is quiet: it can be ended."
            : "Neither is in use: nobody seems to have changed over yet."
          : "Somebody still presents the old one."}
      </p>
    </div>
  );
}
