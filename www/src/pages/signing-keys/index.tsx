// The deployment's signing keys: what signs what, what each state means, and every turn from one to the next.
import "../../styles/signing.css";
import { useMemo, useState } from "preact/hooks";
import { problem } from "../../api/problem";
import { ROLES, useSigningKeys, type ManifestInForce, type SigningKey, type SigningRole, type TurnAction } from "../../api/signing";
import { useCan } from "../../api/session";
import { Badge } from "../../ui/badge";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { useCommands } from "../../ui/palette";
import { Time, useNow } from "../../ui/time";
import { FreezeDialog } from "./freeze";
import { PrepareDialog } from "./prepare";
import { RoleCard } from "./role";
import { Root } from "./root";
import { TurnDialog } from "./turn";
import { ROLE_WORDS, STATE_WORDS } from "./words";

/** A manifest with less than that ahead of it wants attention. */
const SOON_MS = 15 * 24 * 3600_000;

type Opened = { readonly what: "prepare"; readonly role: SigningRole } | { readonly what: TurnAction; readonly key: SigningKey };

export default function SigningKeysPage() {
  const can = useCan();
  const found = useSigningKeys();
  const [opened, setOpened] = useState<Opened>();
  const close = () => setOpened(undefined);
  const keys = found.data?.signing_keys ?? [];
  useCommands(
    useMemo(() => {
      const roles = can("signing:rotate") ? ROLES.filter((role) => role !== "root" && !nextOf(keys, role)) : [];
      return roles.map((role) => ({
        title: `Prepare the next signing key: ${ROLE_WORDS[role].title}`, icon: "plus" as const, run: () => setOpened({ what: "prepare", role }),
      }));
    }, [found.data]),
  );
  if (found.isPending) return <Loading />;
  if (!found.data) {
    if (problem(found.error).code === "scope_insufficient") {
      return <Empty title="For the operator">Signing keys are the deployment's. They take a key of admin scope of the tenant that the deployment began with.</Empty>;
    }
    return <Fault cause={found.error} retry={() => void found.refetch()} />;
  }
  return (
    <div class="page">
      <div class="page-head">
        <h1>Signing keys</h1>
      </div>
      <p class="faint">
        Every key, token, policy and list is believed for its signature. A signing key is prepared, so that every edge knows it; then it signs; then it only counts;
        then it is retired. One that was stolen is frozen.
      </p>
      <Manifest manifest={found.data.manifest} />
      <div class="columns">
        {ROLES.filter((role) => role !== "root").map((role) => (
          <RoleCard
            key={role}
            role={role}
            keys={keys.filter((key) => key.role === role)}
            onPrepare={() => setOpened({ what: "prepare", role })}
            onTurn={(what, key) => setOpened({ what, key })}
          />
        ))}
      </div>
      <Root manifest={found.data.manifest} keys={keys} />
      <States />
      {opened?.what === "prepare" && <PrepareDialog role={opened.role} onClose={close} />}
      {opened?.what === "freeze" && <FreezeDialog signingKey={opened.key} elsewhere={found.data.manifest.root_is_elsewhere} onClose={close} />}
      {(opened?.what === "activate" || opened?.what === "retire") && <TurnDialog action={opened.what} signingKey={opened.key} onClose={close} />}
    </div>
  );
}

function nextOf(keys: readonly SigningKey[], role: SigningRole): SigningKey | undefined {
  return keys.find((key) => key.role === role && key.state === "pre-published");
}

function Manifest({ manifest }: { manifest: ManifestInForce }) {
  const soon = Date.parse(manifest.expires_at) - useNow() < SOON_MS;
  return (
    <>
      <dl class="figures">
        <div>
          <dt>Manifest in force</dt>
          <dd>version {manifest.version}</dd>
        </div>
        <div>
          <dt>Epoch</dt>
          <dd>{manifest.epoch}</dd>
        </div>
        <div>
          <dt>Expires</dt>
          <dd>
            <Time at={manifest.expires_at} />
          </dd>
        </div>
        <div>
          <dt>Signed by</dt>
          <dd>{manifest.root_is_elsewhere ? "a root elsewhere" : "the root kept here"}</dd>
        </div>
      </dl>
      {manifest.outdated && (
        <div class="notice" data-tone="warn" role="status">
          <strong>The next manifest is waiting for the root</strong>
          <p>Signing keys have changed since this one was signed. Until the next one is signed where the root is and brought here, the states below are proposals, and this manifest counts.</p>
        </div>
      )}
      {soon && (
        <div class="notice" data-tone={manifest.root_is_elsewhere ? "bad" : "info"} role="status">
          <strong>The manifest ends soon</strong>
          <p>{manifest.root_is_elsewhere ? "With an expired one nothing passes anywhere. Sign the next one where the root is." : "It is signed anew by itself."}</p>
        </div>
      )}
    </>
  );
}

function States() {
  return (
    <section class="card stack" aria-labelledby="states">
      <h2 id="states">What the states mean</h2>
      <dl class="signing-states">
        {Object.entries(STATE_WORDS).map(([state, words]) => (
          <div key={state}>
            <dt>
              <Badge tone={words.tone}>{state}</Badge>
            </dt>
            <dd>
              {words.how} <span class="faint">Signs: {words.signs}. What it signed: {words.signed}.</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
