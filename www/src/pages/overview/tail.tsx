// Decisions as they come.
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useTail } from "../../api/decisions";
import type { Decision, Verdict } from "../../api/types";
import { Badge } from "../../ui/badge";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Choice } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Table, type Column } from "../../ui/table";
import { exact } from "../../ui/time";
import { Explained } from "./explained";

const OUTCOMES = [["", "All"], ["passed", "Passed"], ["refused", "Refused"]] as const;

export function LiveTail() {
  const [outcome, setOutcome] = useState<Verdict | "">("");
  const [runs, setRuns] = useState(true);
  const [opened, setOpened] = useState<number>();
  const { decisions, open, fault } = useTail(outcome || undefined, runs);
  return (
    <section class="stack" aria-labelledby="tail">
      <div class="page-head">
        <h2 id="tail">Decisions as they come</h2>
        <div class="row end">
          <Badge tone={open ? "good" : "plain"}>{open ? "live" : runs ? "connecting" : "paused"}</Badge>
          <Choice label="Outcome" quiet value={outcome} options={OUTCOMES} onChange={setOutcome} />
          <button type="button" class="button small" onClick={() => setRuns(!runs)}>
            <Icon name={runs ? "pause" : "play"} /> {runs ? "Pause" : "Go on"}
          </button>
        </div>
      </div>
      {fault !== undefined && <Fault cause={fault} />}
      {decisions === undefined ? (
        fault === undefined && <Loading />
      ) : decisions.length === 0 ? (
        <Empty title="No decisions kept">What edges decide stands here within two seconds, and is kept for a day: all requests as long as they are few, and a sample that stands for all where they are many.</Empty>
      ) : (
        <Decisions decisions={decisions} onOpen={setOpened} />
      )}
      {opened !== undefined && <Explained id={opened} onClose={() => setOpened(undefined)} />}
    </section>
  );
}

function Decisions({ decisions, onOpen }: { decisions: readonly Decision[]; onOpen: (id: number) => void }) {
  const columns: readonly Column<Decision>[] = [
    {
      title: "Request",
      lead: true,
      cell: ({ id, method, path }) => (
        <button type="button" class="overview-request mono" onClick={() => onOpen(id)}>
          {method} {path}
        </button>
      ),
    },
    { title: "Outcome", cell: ({ outcome, verdict }) => <Badge tone={verdict === "passed" ? "good" : "bad"}>{outcome}</Badge> },
    { title: "Status", number: true, cell: ({ status }) => status ?? "–" },
    { title: "Key", cell: ({ key_id }) => <Link class="mono small" href={`/keys/${key_id}`}>{`${key_id.slice(0, 13)}…`}</Link> },
    { title: "From", cell: ({ address }) => <span class="mono">{address ?? "–"}</span> },
    { title: "At", cell: ({ time }) => <time dateTime={time} title={exact(Date.parse(time))}>{new Date(time).toLocaleTimeString("en-GB")}</time> },
    { title: "Stands for", number: true, cell: ({ weight }) => weight.toLocaleString() },
  ];
  return <Table label="Decisions" columns={columns} rows={decisions} id={({ id }) => String(id)} />;
}
