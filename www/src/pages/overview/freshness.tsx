import { usePosition, useRecent } from "../../api/decisions";
import { Loading } from "../../ui/empty";
import { Time } from "../../ui/time";

/** On which state edges decide, beside the one that the origin has published: what was revoked is in both or in neither. */
export function Freshness() {
  const [position, recent] = [usePosition(), useRecent(1)];
  const newest = recent.data?.[0];
  const published = position.data;
  return (
    <section class="card stack" aria-labelledby="freshness">
      <h2 id="freshness">Freshness of edges</h2>
      {position.isPending || recent.isPending ? (
        <Loading />
      ) : (
        <>
          <dl class="facts">
            <dt>Published</dt>
            <dd>{published ? <State epoch={published.epoch} seq={published.seq} /> : "not known"}</dd>
            <dt>Last decided on</dt>
            <dd>{newest ? <Decided position={newest.position} /> : "nothing yet"}</dd>
            <dt>Last decision</dt>
            <dd>
              <Time at={newest?.time} never="none" />
            </dd>
          </dl>
          <p class="faint small">
            Every change of a key takes the next number. Edges have it within milliseconds; the last decision may be older than the last change.
          </p>
        </>
      )}
    </section>
  );
}

function Decided({ position }: { position: string }) {
  const [epoch = "", seq = ""] = position.split(".");
  return <State epoch={Number(epoch)} seq={Number(seq)} />;
}

function State({ epoch, seq }: { epoch: number; seq: number }) {
  return (
    <span>
      number {seq.toLocaleString()} of epoch {epoch}
    </span>
  );
}
