import { LIMITS, type Key } from "../../api/types";
import { LIMIT_WORDS } from "../../terms/draft";

/** What the key may do, as the policy in force says. */
export function Facts({ apiKey: key }: { apiKey: Key }) {
  const constraints = Object.entries(key.tenant_constraints);
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">What it may do</h2>
      <dl class="facts">
        <dt>Owner</dt>
        <dd>{key.owner_id}</dd>
        <dt>Scope</dt>
        <dd>{key.scope}</dd>
        <dt>Capabilities</dt>
        <dd>
          <Tags values={key.capabilities} none="none" />
        </dd>
        <dt>Endpoints</dt>
        <dd>
          <Tags values={key.allowed_endpoints} none="every endpoint" />
        </dd>
        {key.blocked_endpoints.length > 0 && (
          <>
            <dt>Refused endpoints</dt>
            <dd>
              <Tags values={key.blocked_endpoints} none="" />
            </dd>
          </>
        )}
        <dt>Addresses</dt>
        <dd>
          <Tags values={key.allowed_ips} none="any" />
        </dd>
        <dt>Web pages</dt>
        <dd>
          <Tags values={key.allowed_domains} none="any" />
        </dd>
        <dt>Transport</dt>
        <dd>{key.require_tls ? "TLS only" : "also without TLS"}</dd>
        {LIMITS.map((name) => (
          <>
            <dt key={name}>{LIMIT_WORDS[name][0]}</dt>
            <dd>{key[name]?.toLocaleString() ?? "unlimited"}</dd>
          </>
        ))}
        <dt>Tokens</dt>
        <dd>{key.token_exchange ? "can be exchanged" : "can't be exchanged"}</dd>
        <dt>Policy</dt>
        <dd>number {key.policy}</dd>
        {constraints.length > 0 && (
          <>
            <dt>Constraints</dt>
            <dd class="stack tight">
              {constraints.map(([name, value]) => (
                <code key={name}>
                  {name} = {JSON.stringify(value)}
                </code>
              ))}
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Tags({ values, none }: { values: readonly string[]; none: string }) {
  if (values.length === 0) return <span class="faint">{none}</span>;
  return (
    <span class="row">
      {values.map((value) => (
        <span class="tag" key={value}>
          {value}
        </span>
      ))}
    </span>
  );
}
