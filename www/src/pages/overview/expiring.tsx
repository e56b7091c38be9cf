import { Link } from "wouter-preact";
import { useKeys } from "../../api/keys";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Time } from "../../ui/time";

const DAYS = 14;
const SHOWN = 6;

/** The keys that end next. */
export function Expiring() {
  const keys = useKeys({ status: "active", expiring_within_days: DAYS, sort: "expires", order: "asc", limit: SHOWN });
  return (
    <section class="card stack" aria-labelledby="expiring">
      <h2 id="expiring">Expiring soon</h2>
      {keys.isPending ? (
        <Loading />
      ) : !keys.data ? (
        <Fault cause={keys.error} retry={() => void keys.refetch()} />
      ) : keys.data.keys.length === 0 ? (
        <p class="faint">No key expires within {DAYS} days.</p>
      ) : (
        <>
          <ul class="stack tight">
            {keys.data.keys.map((key) => (
              <li class="row overview-key" key={key.id}>
                <Link class="break" href={`/keys/${key.id}`}>
                  {key.name}
                </Link>
                <Time at={key.expires_at} />
              </li>
            ))}
          </ul>
          {keys.data.next && <Link href={`/keys?status=active&expiring_within_days=${DAYS}&sort=expires&order=asc`}>All of them</Link>}
        </>
      )}
    </section>
  );
}
