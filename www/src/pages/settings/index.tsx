// The deployment as it stands, what an edge is told of it, and who is signed in here.
import { Link } from "wouter-preact";
import { useMetadata, useRoot } from "../../api/deployment";
import { useCaller, useCan } from "../../api/session";
import { Copy } from "../../ui/copy";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Time } from "../../ui/time";
import { Edges } from "./edges";
import { Server } from "./server";

export default function Settings() {
  return (
    <div class="page">
      <h1>Settings</h1>
      <p class="faint">Settings are given to the server when it starts, and not changed here: what stands in a configuration can be reviewed and restored.</p>
      <div class="columns">
        <Addresses />
        <Signed />
      </div>
      <Server />
      <Edges />
      <Edge />
    </div>
  );
}

function Addresses() {
  const metadata = useMetadata();
  if (metadata.isPending) return <Loading />;
  if (!metadata.data) return <Fault cause={metadata.error} retry={() => void metadata.refetch()} />;
  const { issuer, token_endpoint, introspection_endpoint, revocation_endpoint, jwks_uri } = metadata.data;
  const rows = [
    ["Issuer", issuer], ["Token exchange", token_endpoint], ["Introspection", introspection_endpoint], ["Revocation", revocation_endpoint], ["Public keys", jwks_uri],
  ] as const;
  return (
    <section class="card stack" aria-labelledby="addresses">
      <h2 id="addresses">Where it is found</h2>
      <dl class="facts">
        {rows.map(([name, value]) => (
          <>
            <dt key={name}>{name}</dt>
            <dd>
              <code class="break">{value}</code> <Copy text={value} label={`Copy: ${name}`} />
            </dd>
          </>
        ))}
        <dt>API reference</dt>
        <dd>
          <a href="/docs">/docs</a>, <a href="/openapi.json">/openapi.json</a>
        </dd>
      </dl>
      {issuer !== location.origin && (
        <div class="notice" data-tone="info">
          <p>
            You reach it as <code>{location.origin}</code>, and the world as its issuer. Everything that it signs names the issuer.
          </p>
        </div>
      )}
    </section>
  );
}

function Signed() {
  const session = useCaller();
  return (
    <section class="card stack" aria-labelledby="signed">
      <h2 id="signed">This session</h2>
      <dl class="facts">
        <dt>Key</dt>
        <dd>
          <Link href={`/keys/${session.key}`}>{session.name}</Link> <code class="faint">{session.hint}</code>
        </dd>
        <dt>Owner</dt>
        <dd>{session.owner}</dd>
        <dt>Tenant</dt>
        <dd>
          {session.tenant_name} {session.operator && <span class="tag">operator</span>}
        </dd>
        <dt>Scope</dt>
        <dd>{session.scope}</dd>
        <dt>Since</dt>
        <dd>
          <Time at={session.created} />
        </dd>
        <dt>Ends</dt>
        <dd>
          <Time at={session.expires} />, or after {Math.round(session.idle_seconds / 60)} minutes without a request, or with its key
        </dd>
        <dt>May do</dt>
        <dd class="row">
          {session.capabilities.map((capability) => (
            <span class="tag" key={capability}>
              {capability}
            </span>
          ))}
        </dd>
      </dl>
    </section>
  );
}

function Edge() {
  const can = useCan();
  const [root, metadata] = [useRoot(), useMetadata()];
  if (!root.data || !metadata.data) return null;
  const lines = [`KEYWARD_ORIGIN = "${metadata.data.issuer}"`, `KEYWARD_ROOTS = "${root.data}"`, `KEYWARD_UPSTREAM = "https://…"`, `KEYWARD_ENV = "live"`].join("\n");
  return (
    <section class="card stack" aria-labelledby="edge">
      <div class="page-head">
        <h2 id="edge">What an edge is told</h2>
        <Copy text={lines} label="Copy the lines" words />
      </div>
      <pre tabIndex={0} aria-label="Variables of an edge">{lines}</pre>
      <p class="faint">
        The root is what an edge believes for good: compare it with <code>root.pub</code> in the server's data directory before you pin it, and not only with this page. Beside these go{" "}
        <Link href="/routes">the route table</Link> and, as a secret, <code>KEYWARD_SYNC_KEY</code>: a key with <code>edge:sync</code>
        {can("signing:read") && (
          <>
            . States of the signing keys are on <Link href="/signing-keys">their page</Link>
          </>
        )}
        .
      </p>
    </section>
  );
}
