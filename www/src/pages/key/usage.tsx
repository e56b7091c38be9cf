import { useKeyUsage } from "../../api/keys";
import type { UsageReport } from "../../api/types";
import { short } from "../../ui/chart";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Choice } from "../../ui/field";
import { Meters } from "../../ui/meters";
import { Outcomes } from "../../ui/outcomes";

const RANGES = [["1", "Today (UTC)"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"]] as const;

export function Usage({ id, days, onDays }: { id: string; days: number; onDays: (days: number) => void }) {
  const usage = useKeyUsage(id, days, days <= 7 ? "hour" : "day");
  return (
    <section class="card stack" aria-labelledby="usage">
      <div class="page-head">
        <h2 id="usage">What it was used for</h2>
        <Choice label="Range" quiet value={String(days)} options={RANGES} onChange={(days) => onDays(Number(days))} />
      </div>
      {usage.isPending ? (
        <Loading />
      ) : usage.data === undefined ? (
        <Fault cause={usage.error} retry={() => void usage.refetch()} />
      ) : usage.data.total_requests === 0 ? (
        <Empty title="Not used in this time">Requests are counted at the edge and stand here within seconds of being made.</Empty>
      ) : (
        <Report report={usage.data} />
      )}
    </section>
  );
}

function Report({ report }: { report: UsageReport }) {
  const latency = report.latency.map(({ up_to_ms, requests }, at) => ({
    name: up_to_ms === null ? `over ${report.latency[at - 1]?.up_to_ms} ms` : `up to ${up_to_ms} ms`,
    value: requests,
  }));
  return (
    <>
      <Outcomes label="Requests over time" points={report.series} />
      <p class="faint small">
        {short(report.total_requests)} requests, {short(report.total_refused)} refused, {short(report.total_errors)} errors of the upstream;{" "}
        {bytes(report.bytes_in)} in, {bytes(report.bytes_out)} out; {report.cost_cents.toLocaleString()} cents.
      </p>
      <div class="columns">
        <Meters
          title="By outcome"
          of={report.outcomes.map(({ outcome, requests }) => ({ name: outcome, value: requests, tone: outcome === "passed" ? "good" : "bad" }))}
        />
        <Meters title="By endpoint" of={report.most_used_endpoints.slice(0, 8).map(({ endpoint, requests }) => ({ name: endpoint, value: requests }))} />
        <Meters title="By address" of={report.top_addresses.slice(0, 8).map(({ address, requests }) => ({ name: address, value: requests }))} />
        <Meters title="By time that the upstream took" of={latency.filter(({ value }) => value > 0)} none="It isn't known of any." />
      </div>
    </>
  );
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(count) / 3));
  return `${(count / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${UNITS[power]}`;
}
