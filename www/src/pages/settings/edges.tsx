import { Link } from "wouter-preact";
import { useEdges, type Edges as Found, type EdgeHeard } from "../../api/deployment";
import { useCaller, useCan } from "../../api/session";
import { Badge } from "../../ui/badge";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Table } from "../../ui/table";
import { Time } from "../../ui/time";

/** An edge that has requests asks every few seconds; one that has none needn't. */
const QUIET_MS = 15_000;

/** Who follows this origin, and how far each has got. */
export function Edges() {
  const [caller, can] = [useCaller(), useCan()];
  const shown = caller.scope !== "user" && can("keys:read");
  const edges = useEdges(shown);
  if (!shown) return null;
  return (
    <section class="stack" aria-labelledby="edges">
      <h2 id="edges">Edges that follow</h2>
      {edges.isPending ? (
        <Loading />
      ) : !edges.data ? (
        <Fault cause={edges.error} retry={() => void edges.refetch()} />
      ) : edges.data.edges.length === 0 ? (
        <Empty title="None within the last hour">An edge follows with a key that has edge:sync. Until one does, nothing passes anywhere; below is what it is told.</Empty>
      ) : (
        <Heard found={edges.data} />
      )}
    </section>
  );
}

function Heard({ found }: { found: Found }) {
  return (
    <>
      <p class="faint">
        This server stands at {found.epoch}.{found.seq}, with manifest {found.manifest}. Where there are several servers, each hears of its own edges. An edge without requests grows quiet, and asks before it decides on the next one; one that has
        requests and is quiet here can't reach this server.
      </p>
      <Table
        label="Edges that follow"
        rows={found.edges}
        id={({ key, address }) => `${key} ${address}`}
        columns={[
          { title: "Edge", lead: true, cell: ({ key, owner, address }) => <span class="cell-title"><Link href={`/keys/${key}`}>{owner}</Link><span class="faint small mono">{address ?? "address unknown"}</span></span> },
          { title: "State", cell: (edge) => <State edge={edge} found={found} /> },
          { title: "Has", cell: ({ epoch, seq }) => <span class="mono">{epoch}.{seq}</span> },
          { title: "Manifest", number: true, cell: ({ manifest }) => manifest },
          { title: "Heard", cell: ({ heard }) => <Time at={heard} /> },
        ]}
      />
    </>
  );
}

function State({ edge, found }: { edge: EdgeHeard; found: Found }) {
  if (Date.parse(found.now) - Date.parse(edge.heard) > QUIET_MS) return <Badge tone="plain">quiet</Badge>;
  const behind = edge.epoch !== found.epoch || edge.seq < found.seq || edge.manifest < found.manifest;
  return <Badge tone={behind ? "warn" : "good"}>{behind ? "behind" : "follows"}</Badge>;
}
