// Requests by what became of them, and by whom.
import { useMemo } from "preact/hooks";
import { Link } from "wouter-preact";
import { useRecent } from "../../api/decisions";
import { useKey, useSummary } from "../../api/keys";
import type { Decision, UsageReport } from "../../api/types";
import { short } from "../../ui/chart";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Meters } from "../../ui/meters";
import { Outcomes } from "../../ui/outcomes";

/** Decisions that are looked at for the busiest keys. */
const RECENT = 500;
const TOP = 6;

export function Traffic({ days }: { days: number }) {
  const summary = useSummary(days, days <= 7 ? "hour" : "day");
  if (summary.isPending) return <Loading />;
  if (!summary.data) return <Fault cause={summary.error} retry={() => void summary.refetch()} />;
  return <Report report={summary.data} />;
}

function Report({ report }: { report: UsageReport }) {
  const refusals = report.outcomes.filter(({ outcome }) => outcome !== "passed" && outcome !== "upstream_unavailable").slice(0, TOP);
  return (
    <>
      <dl class="figures">
        <Figure name="Requests" value={short(report.total_requests)} />
        <Figure name="Refused" value={short(report.total_refused)} />
        <Figure name="Upstream errors" value={short(report.total_errors)} />
        <Figure name="Keys in use" value={short(report.keys_analyzed)} />
      </dl>
      {report.total_requests === 0 ? (
        <Empty title="No requests in this time">Requests are counted at the edge and stand here within seconds of being made.</Empty>
      ) : (
        <section class="card stack" aria-labelledby="traffic">
          <h2 id="traffic">Requests</h2>
          <Outcomes label="Requests by outcome over time" points={report.series} />
          <div class="columns">
            <Meters title="Refusals by reason" none="Nothing was refused." of={refusals.map(({ outcome, requests }) => ({ name: outcome, value: requests, tone: "bad" }))} />
            <Meters title="Busiest endpoints" of={report.most_used_endpoints.slice(0, TOP).map(({ endpoint, requests }) => ({ name: endpoint, value: requests }))} />
            <BusiestKeys />
          </div>
        </section>
      )}
    </>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** From the newest decisions: which keys they are about, by the requests that they stand for. */
function BusiestKeys() {
  const recent = useRecent(RECENT);
  const top = useMemo(() => busiest(recent.data ?? []), [recent.data]);
  return (
    <section class="stack tight">
      <h3>Busiest keys just now</h3>
      {recent.isError && !recent.data && <Fault cause={recent.error} retry={() => void recent.refetch()} />}
      {recent.data && top.length === 0 && <p class="faint">None.</p>}
      <ul class="stack tight">
        {top.map(([key, requests]) => (
          <li class="row overview-key" key={key}>
            <KeyName id={key} />
            <span>{requests.toLocaleString()}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function busiest(decisions: readonly Decision[]): readonly (readonly [key: string, requests: number])[] {
  const sums = new Map<string, number>();
  for (const { key_id, weight } of decisions) sums.set(key_id, (sums.get(key_id) ?? 0) + weight);
  return [...sums].sort(([, one], [, other]) => other - one).slice(0, TOP);
}

/** A key by its name, where that is known. */
function KeyName({ id }: { id: string }) {
  const { data } = useKey(id);
  return (
    <Link class="break" href={`/keys/${id}`}>
      {data?.name ?? id}
    </Link>
  );
}
