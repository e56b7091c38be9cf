import type { ComponentChildren } from "preact";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** The name by which the list can be ordered; without it, it can't. */
  readonly sort?: string;
  readonly number?: boolean;
  /** What a row is known by: on a phone it heads the card. */
  readonly lead?: boolean;
}

export interface Sorting {
  readonly by: string;
  readonly order: "asc" | "desc";
  readonly onChange: (by: string, order: "asc" | "desc") => void;
}

export interface Selection {
  readonly chosen: ReadonlySet<string>;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
  /** Says which row: `Select billing exporter`. */
  readonly label: (id: string) => string;
}

interface Props<Row> {
  /** What it is a table of. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  id: (row: Row) => string;
  sorting?: Sorting;
  selection?: Selection | undefined;
  busy?: boolean;
}

/** A table that says its roles itself, since on a phone it is laid out as cards. */
export function Table<Row>({ label, columns, rows, id, sorting, selection, busy }: Props<Row>) {
  return (
    <div class="table-frame">
      <table class="table" role="table" aria-label={label} aria-busy={busy}>
        <thead role="rowgroup">
          <tr role="row">
            {selection && <PickAll ids={rows.map(id)} selection={selection} />}
            {columns.map((column) => (
              <Heading key={column.title} column={column} sorting={sorting} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={id(row)} aria-selected={selection ? selection.chosen.has(id(row)) : undefined}>
              {selection && <Pick id={id(row)} selection={selection} />}
              {columns.map(({ title, cell, number, lead }) => (
                <td role="cell" key={title} data-label={title} class={[number && "number", lead && "lead"].filter(Boolean).join(" ")}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Heading<Row>({ column, sorting }: { column: Column<Row>; sorting: Sorting | undefined }) {
  const { title, sort, number } = column;
  const sorted = sorting !== undefined && sort !== undefined && sorting.by === sort;
  const order = sorted ? (sorting.order === "asc" ? "ascending" : "descending") : undefined;
  return (
    <th role="columnheader" scope="col" class={number ? "number" : undefined} aria-sort={order}>
      {sort === undefined || sorting === undefined ? (
        title
      ) : (
        <button type="button" onClick={() => sorting.onChange(sort, sorted && sorting.order === "asc" ? "desc" : "asc")}>
          {title} {sorted ? (sorting.order === "asc" ? "↑" : "↓") : ""}
        </button>
      )}
    </th>
  );
}

function PickAll({ ids, selection }: { ids: readonly string[]; selection: Selection }) {
  const all = ids.length > 0 && ids.every((id) => selection.chosen.has(id));
  const some = ids.some((id) => selection.chosen.has(id));
  return (
    <th role="columnheader" scope="col" class="pick">
      <input
        type="checkbox"
        aria-label="Select all on this page"
        checked={all}
        indeterminate={some && !all}
        onChange={() => selection.onChange(new Set(all ? [] : ids))}
      />
    </th>
  );
}

function Pick({ id, selection }: { id: string; selection: Selection }) {
  const { chosen, onChange, label } = selection;
  const toggle = () => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChange(next);
  };
  return (
    <td role="cell" class="pick">
      <input type="checkbox" aria-label={label(id)} checked={chosen.has(id)} onChange={toggle} />
    </td>
  );
}
