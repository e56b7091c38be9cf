import type { Key } from "../../api/types";
import { Badge } from "../../ui/badge";
import { Empty } from "../../ui/empty";
import { Time } from "../../ui/time";

/** What can be presented for the key now. */
export function Credentials({ apiKey: key }: { apiKey: Key }) {
  return (
    <section class="card" aria-labelledby="credentials">
      <h2 id="credentials">Raw keys in use</h2>
      {key.credentials.length === 0 ? (
        <Empty title="None">Nothing can be presented for this key any more.</Empty>
      ) : (
        <ul class="stack">
          {key.credentials.map((credential) => (
            <li key={credential.created_at} class="stack tight">
              <span class="row">
                <code>{credential.key_hint ?? "an old one"}</code>
                <Badge tone={credential.current ? "good" : "warn"}>{credential.current ? "current" : "until the overlap ends"}</Badge>
              </span>
              <span class="faint small">
                made <Time at={credential.created_at} />, ends <Time at={credential.expires_at} />
              </span>
            </li>
          ))}
        </ul>
      )}
      <dl class="facts key-rotation">
        <dt>Last rotated</dt>
        <dd>
          <Time at={key.last_rotated} />
        </dd>
        <dt>Rotated every</dt>
        <dd>{key.rotation_period_days === null ? "no period set" : `${key.rotation_period_days} days`}</dd>
        {key.rotation_due_at && (
          <>
            <dt>Due</dt>
            <dd>
              <Time at={key.rotation_due_at} />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
