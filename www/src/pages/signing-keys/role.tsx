// One role: what it signs, its keys that matter, and what can be done next.
import { Link } from "wouter-preact";
import { useCan } from "../../api/session";
import type { SigningKey, SigningRole, TurnAction } from "../../api/signing";
import { Badge } from "../../ui/badge";
import { Copy } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Time, useNow } from "../../ui/time";
import { ROLE_WORDS, STATE_WORDS } from "./words";

interface Props {
  role: SigningRole;
  keys: readonly SigningKey[];
  onPrepare: () => void;
  onTurn: (what: TurnAction, key: SigningKey) => void;
}

export function RoleCard({ role, keys, onPrepare, onTurn }: Props) {
  const can = useCan();
  const retired = keys.filter(({ state }) => state === "retired");
  const others = keys.filter(({ state }) => state !== "retired").reverse();
  const { title, signs } = ROLE_WORDS[role];
  return (
    <section class="card stack" aria-labelledby={`role-${role}`}>
      <div class="page-head">
        <h2 id={`role-${role}`}>{title}</h2>
        {can("signing:rotate") && !others.some(({ state }) => state === "pre-published") && (
          <button type="button" class="button small" onClick={onPrepare}>
            <Icon name="plus" /> Prepare the next<span class="unseen"> for {title}</span>
          </button>
        )}
      </div>
      <p class="faint small">{signs}</p>
      <ul class="signing-list">
        {others.map((key) => (
          <Entry key={key.kid} signingKey={key} onTurn={onTurn} />
        ))}
      </ul>
      {retired.length > 0 && (
        <details>
          <summary class="faint">{retired.length} retired</summary>
          <ul class="signing-list">
            {retired.map((key) => (
              <Entry key={key.kid} signingKey={key} onTurn={onTurn} />
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

export function Entry({ signingKey: key, onTurn }: { signingKey: SigningKey; onTurn?: Props["onTurn"] }) {
  const can = useCan();
  const waits = key.activatable_at !== null && Date.parse(key.activatable_at) > useNow();
  const turn = (what: TurnAction, words: string, danger = false) => (
    <button type="button" class={danger ? "button danger small" : "button small"} aria-label={`${words} ${key.kid}`} onClick={() => onTurn?.(what, key)}>
      {words}
    </button>
  );
  const ended = key.state === "retired";
  return (
    <li>
      <div class="row">
        <Badge tone={STATE_WORDS[key.state].tone}>{key.state}</Badge>
        <code title={key.kid}>{key.kid.slice(0, 12)}…</code>
        <Copy text={key.kid} label={`Copy the name ${key.kid}`} />
        {onTurn && !ended && (
          <span class="row end signing-turns">
            {can("signing:rotate") && key.state === "pre-published" && turn("activate", "Activate")}
            {can("signing:rotate") && key.state !== "active" && turn("retire", "Retire")}
            {can("signing:freeze") && (key.state === "active" || key.state === "verify-only") && turn("freeze", "Freeze", true)}
          </span>
        )}
      </div>
      <p class="faint small">
        {key.state} since <Time at={key.state_since} />
        {waits && (
          <>
            ; every edge knows it <Time at={key.activatable_at} />
          </>
        )}
        {key.live_keys !== null && !ended && key.state !== "pre-published" && (
          <>
            ; <Link href={`/keys?signing_key=${key.kid}`}>{key.live_keys.toLocaleString()} raw keys</Link> by it could be presented, of all tenants
          </>
        )}
        {!key.is_here && !ended && key.role !== "root" && "; its private half isn't here"}
      </p>
      {key.state === "frozen" && key.live_keys !== null && key.live_keys > 0 && (
        <div class="notice" data-tone="warn">
          <p>
            {key.live_keys.toLocaleString()} raw keys by it are still in use. They pass, since they are known to have been issued. <Link href={`/keys?signing_key=${key.kid}`}>Rotate each of them</Link>, in each tenant; then retire it.
          </p>
        </div>
      )}
    </li>
  );
}
