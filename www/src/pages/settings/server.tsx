import { useSettings, type Settings } from "../../api/deployment";
import { useCaller, useCan } from "../../api/session";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Table } from "../../ui/table";

interface Setting {
  readonly name: string;
  readonly value: string;
  readonly what: string;
}

/** What the server was started with, for admins. */
export function Server() {
  const [caller, can] = [useCaller(), useCan()];
  const shown = caller.scope === "admin" && can("keys:read");
  const settings = useSettings(shown);
  if (!shown) return null;
  if (settings.isPending) return <Loading />;
  if (!settings.data) return <Fault cause={settings.error} retry={() => void settings.refetch()} />;
  return (
    <section class="stack" aria-labelledby="server">
      <h2 id="server">What the server was started with</h2>
      <Table
        label="What the server was started with"
        rows={words(settings.data)}
        id={({ name }) => name}
        columns={[
          { title: "Setting", lead: true, cell: ({ name }) => <strong>{name}</strong> },
          { title: "Is", cell: ({ value }) => value },
          { title: "What that does", cell: ({ what }) => <span class="faint">{what}</span> },
        ]}
      />
    </section>
  );
}

function words(settings: Settings): Setting[] {
  const { version, secure, trusted_proxies, failures_per_minute, token_reuse_seconds, token_seconds, session_seconds, session_idle_seconds, usage_days, decision_hours } = settings;
  return [
    { name: "Version", value: version, what: "Of the program that serves this." },
    { name: "TLS", value: secure ? "yes" : "no", what: "Whether the world reaches it by TLS. Without it, sessions are for a machine of one's own." },
    { name: "Trusted proxies", value: trusted_proxies.join(", ") || "none", what: "Whose word on a client's address is taken." },
    { name: "Failures a minute", value: failures_per_minute === 0 ? "any number" : String(failures_per_minute), what: "Credentials that are no good, from one address; then it has to wait." },
    { name: "Tokens last", value: length(token_seconds), what: "At most, and never past their key." },
    { name: "The same token again", value: length(token_reuse_seconds), what: "For so long validate gives the one that it made." },
    { name: "Sessions last", value: `${length(session_seconds)}, ${length(session_idle_seconds)} without a request`, what: "And never past their key." },
    { name: "Usage is kept", value: `${usage_days} days`, what: "Sums by hour and day. Older ones go month by month." },
    { name: "Decisions are kept", value: decision_hours === 0 ? "not" : `${decision_hours} hours`, what: "Samples of what edges decided." },
  ];
}

function length(seconds: number): string {
  const [count, unit] = seconds % 3600 === 0 ? [seconds / 3600, "hour"] : seconds % 60 === 0 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
