// Everything about one key, and what can be done to it.
import "../../styles/terms.css";
import "../../styles/key.css";
import { useEffect } from "preact/hooks";
import { Link, useParams, useSearchParams } from "wouter-preact";
import { useKey } from "../../api/keys";
import { problem } from "../../api/problem";
import type { Key } from "../../api/types";
import { Badge, StatusBadge } from "../../ui/badge";
import { Copy } from "../../ui/copy";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Time } from "../../ui/time";
import { Actions } from "./actions";
import { Credentials } from "./credentials";
import { Facts } from "./facts";
import { Rotating } from "./rotating";
import { Tokens, Trail } from "./trail";
import { Usage } from "./usage";

export default function KeyPage() {
  const { id = "" } = useParams();
  const key = useKey(id);
  if (key.isPending) return <Loading />;
  if (!key.data) {
    if (problem(key.error).code === "not_found") {
      return (
        <Empty title="There is no such key" action={<Link href="/keys">To the keys</Link>}>
          Or none that the key which is signed in may see: it makes no difference.
        </Empty>
      );
    }
    return <Fault cause={key.error} retry={() => void key.refetch()} />;
  }
  return <Shown apiKey={key.data} />;
}

function Shown({ apiKey: key }: { apiKey: Key }) {
  useEffect(() => void (document.title = `${key.name} · Keyward`), [key.name]);
  const [params, setParams] = useSearchParams();
  const days = [1, 7, 30, 90].find((days) => String(days) === params.get("days")) ?? 7;
  const setDays = (days: number) => setParams((now) => (now.set("days", String(days)), now), { replace: true });
  return (
    <div class="page">
      <div class="page-head">
        <div class="stack tight">
          <span class="row">
            <Link href="/keys">Keys</Link>
            <span class="faint">/</span>
          </span>
          <h1 class="break">{key.name}</h1>
          <span class="row">
            <StatusBadge status={key.status} />
            {key.environment === "test" && <Badge tone="info">test</Badge>}
            {key.rotation_due && <Badge tone="warn">rotation due</Badge>}
            <code class="faint">{key.key_hint}</code>
            <span class="row faint small">
              <code>{key.id}</code>
              <Copy text={key.id} label="Copy the id" />
            </span>
          </span>
        </div>
        <Actions apiKey={key} />
      </div>
      {key.description && <p>{key.description}</p>}
      {key.status === "revoked" && (
        <div class="notice" data-tone="bad">
          <strong>
            Revoked <Time at={key.revoked_at} />
          </strong>
          {key.revocation_reason && <p>{key.revocation_reason}</p>}
        </div>
      )}
      <Rotating apiKey={key} />
      <Figures apiKey={key} />
      <div class="columns">
        <Facts apiKey={key} />
        <Credentials apiKey={key} />
      </div>
      <Usage id={key.id} days={days} onDays={setDays} />
      <Tokens apiKey={key} />
      <Trail apiKey={key} />
    </div>
  );
}

function Figures({ apiKey: { usage, expires_at, created_at } }: { apiKey: Key }) {
  const number = (value: number | undefined) => value?.toLocaleString() ?? "–";
  return (
    <dl class="figures">
      <div>
        <dt>Requests</dt>
        <dd>{number(usage?.requests_count)}</dd>
      </div>
      <div>
        <dt>Upstream errors</dt>
        <dd>{number(usage?.errors_count)}</dd>
      </div>
      <div>
        <dt>Refused for a limit</dt>
        <dd>{number(usage?.rate_limit_hits)}</dd>
      </div>
      <div>
        <dt>Last used</dt>
        <dd>
          <Time at={usage?.last_used} />
        </dd>
      </div>
      <div>
        <dt>Expires</dt>
        <dd>
          <Time at={expires_at} />
        </dd>
      </div>
      <div>
        <dt>Created</dt>
        <dd>
          <Time at={created_at} />
        </dd>
      </div>
    </dl>
  );
}
