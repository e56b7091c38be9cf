// The list of keys: searched, filtered, ordered and paged by the origin, as the address says.
import "../../styles/keys.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useKeys, useSeries, type BulkAction } from "../../api/keys";
import { useCan } from "../../api/session";
import { Empty, Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { Icon, type IconName } from "../../ui/icon";
import { useCommands } from "../../ui/palette";
import { useShown, type Shown } from "./address";
import { BulkDialog, type Meant } from "./bulk";
import { Filters } from "./filters";
import { KeyTable, SPARK_DAYS } from "./table";

export default function Keys() {
  const can = useCan();
  const shown = useShown();
  const { list } = shown;
  const keys = useKeys(list);
  const rows = keys.data?.keys ?? [];
  const ids = useMemo(() => rows.map((key) => key.id), [keys.data]);
  const series = useSeries(ids, SPARK_DAYS);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  // What is selected is what is seen.
  useEffect(() => (setChosen(new Set()), setAll(false)), [JSON.stringify(list)]);
  useNew(can("keys:create"));

  const changes = can("keys:update") || can("keys:revoke");
  const selection = changes
    ? {
        chosen,
        onChange: (next: ReadonlySet<string>) => (setChosen(next), setAll(false)),
        label: (id: string) => `Select ${rows.find((key) => key.id === id)?.name ?? id}`,
      }
    : undefined;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Keys</h1>
        {can("keys:create") && (
          <Link class="button primary" href="/keys/new">
            <Icon name="plus" /> New key
          </Link>
        )}
      </div>
      <Filters shown={shown} />
      {chosen.size > 0 && (
        <Chosen ids={[...chosen]} page={ids} shown={shown} all={all} setAll={setAll} more={keys.data?.next !== undefined} clear={() => (setChosen(new Set()), setAll(false))} />
      )}
      {keys.isPending ? (
        <Loading />
      ) : keys.isError && !keys.data ? (
        <Fault cause={keys.error} retry={() => void keys.refetch()} />
      ) : rows.length > 0 ? (
        <KeyTable
          keys={rows}
          series={series.data}
          sorting={{ by: list.sort, order: list.order, onChange: (sort, order) => shown.set({ sort, order }) }}
          selection={selection}
          busy={keys.isPlaceholderData}
        />
      ) : (
        <Nothing shown={shown} more={keys.data?.next !== undefined} create={can("keys:create")} />
      )}
      {keys.data && <Pages shown={shown} next={keys.data.next} count={rows.length} />}
    </div>
  );
}

function useNew(can: boolean): void {
  const [, navigate] = useLocation();
  useCommands(useMemo(() => (can ? [{ title: "New key", icon: "plus" as const, run: () => navigate("/keys/new") }] : []), [can, navigate]));
}

function Nothing({ shown, more, create }: { shown: Shown; more: boolean; create: boolean }) {
  if (more) return <Empty title="None among the keys looked at so far">A page looks at a bounded number of keys. Go on to the next one.</Empty>;
  if (shown.narrowed) {
    const clear = (
      <button type="button" class="button" onClick={shown.clear}>
        Clear the filters
      </button>
    );
    return <Empty title="No key is like that" action={clear}>Every filter has to be met. A search looks at names, descriptions, owners and hints.</Empty>;
  }
  const first = create && (
    <Link class="button primary" href="/keys/new">
      Make the first one
    </Link>
  );
  return (
    <Empty title="No keys yet" action={first}>
      A key is what a program presents at the edge: a signed statement of what it may do, where from, how much and for how long.
    </Empty>
  );
}

function Pages({ shown, next, count }: { shown: Shown; next: string | undefined; count: number }) {
  return (
    <div class="row end">
      <span class="faint" role="status">
        {count} {count === 1 ? "key" : "keys"} on this page
      </span>
      {shown.list.cursor && (
        <button type="button" class="button small" onClick={() => shown.set({ cursor: undefined })}>
          First page
        </button>
      )}
      <button type="button" class="button small" disabled={!next} onClick={() => shown.set({ cursor: next })}>
        Next page <Icon name="right" />
      </button>
    </div>
  );
}

interface ChosenProps {
  ids: readonly string[];
  page: readonly string[];
  shown: Shown;
  all: boolean;
  setAll: (all: boolean) => void;
  more: boolean;
  clear: () => void;
}

const ACTIONS: readonly (readonly [BulkAction, string, IconName, string])[] = [
  ["suspend", "Suspend", "pause", "keys:update"],
  ["resume", "Resume", "play", "keys:update"],
  ["reassign", "Reassign", "person", "keys:update"],
  ["revoke", "Revoke", "stop", "keys:revoke"],
];

function Chosen({ ids, page, shown, all, setAll, more, clear }: ChosenProps) {
  const can = useCan();
  const [action, setAction] = useState<BulkAction>();
  const whole = page.every((id) => ids.includes(id));
  const meant: Meant = all ? { filter: shown.filter } : { ids };
  const close = (done: boolean) => {
    setAction(undefined);
    if (done) clear();
  };
  return (
    <div class="chosen" role="region" aria-label="Selected keys">
      <strong>{all ? "All keys of this list" : `${ids.length} selected`}</strong>
      {whole && !all && (more || shown.list.cursor) && (
        <button type="button" class="button quiet small" onClick={() => setAll(true)}>
          Select all that {shown.narrowed ? "match" : "there are"}
        </button>
      )}
      <button type="button" class="button quiet small" onClick={clear}>
        Clear
      </button>
      <span class="row end">
        {ACTIONS.filter(([, , , needs]) => can(needs)).map(([name, words, icon]) => (
          <button key={name} type="button" class={name === "revoke" ? "button danger small" : "button small"} onClick={() => setAction(name)}>
            <Icon name={icon} /> {words}
          </button>
        ))}
      </span>
      {action && <BulkDialog action={action} meant={meant} onClose={close} />}
    </div>
  );
}
