// A rotation on its way: the use of the old raw key against that of the new one, and the end of it.
import { useState } from "preact/hooks";
import { useKeyUsage } from "../../api/keys";
import { useCan } from "../../api/session";
import type { CredentialUsage, Key } from "../../api/types";
import { Meters } from "../../ui/meters";
import { Time, useNow } from "../../ui/time";
import { EndRotationDialog, type How } from "./end-rotation";

/** Without a request for so long a raw key is quiet. */
const QUIET_MS = 15 * 60_000;

const HOLD: Partial<Record<Key["status"], string>> = {
  active: "Both raw keys hold.",
  suspended: "The key is suspended: neither raw key holds until it is resumed.",
};

export function Rotating({ apiKey: key }: { apiKey: Key }) {
  const can = useCan();
  const now = useNow();
  const { data } = useKeyUsage(key.id, 1, "hour");
  const [ending, setEnding] = useState<How>();
  const former = key.credentials.find(({ current }) => !current);
  if (!former) return null;
  const used = (current: boolean) => data?.credentials?.find((credential) => credential.current === current);
  const quiet = (usage: CredentialUsage | undefined) => usage !== undefined && isQuiet(usage, now);
  const ends = ending && used(ending === "cancel");
  return (
    <section class="notice" data-tone="info" aria-labelledby="rotating">
      <strong id="rotating">A rotation is on its way</strong>
      <p>
        {HOLD[key.status]} The old one, <code>{former.key_hint ?? "without a hint"}</code>, ends by itself <Time at={former.expires_at} />.
      </p>
      <CutOver former={used(false)} current={used(true)} />
      {can("keys:rotate") && (
        <div class="row">
          <button type="button" class={quiet(used(false)) ? "button primary" : "button"} onClick={() => setEnding("finish")}>
            Finish: end the old one now
          </button>
          <button type="button" class="button" onClick={() => setEnding("cancel")}>
            Cancel: end the new one
          </button>
        </div>
      )}
      {ending && <EndRotationDialog apiKey={key} how={ending} ends={ends} quiet={quiet(ends)} onClose={() => setEnding(undefined)} />}
    </section>
  );
}

function isQuiet({ last_used }: CredentialUsage, now: number): boolean {
  return last_used === null || now - Date.parse(last_used) > QUIET_MS;
}

/** Old against new, as the edges have counted since the rotation. */
function CutOver({ former, current }: { former: CredentialUsage | undefined; current: CredentialUsage | undefined }) {
  const now = useNow();
  if (!former || !current) return null;
  const quiet = isQuiet(former, now);
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
