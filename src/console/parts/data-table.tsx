// Tables: a sticky head on wide screens, one card per row on narrow ones.
import type { Child } from "hono/jsx";

export interface Column<Row> {
  readonly label: string;
  readonly cell: (row: Row) => Child;
  /** `main`: the card's heading on narrow screens. `number`: aligned right. `tight`: never wider than its content. `wide`: addresses. */
  readonly kind?: "main" | "number" | "tight" | "wide" | "actions" | "select";
  /** Left out where a table just fits; cards show it again. */
  readonly extra?: boolean;
}

function classOf<Row>(column: Column<Row>): string | undefined {
  const names = [
    column.kind === undefined ? "" : `col-${column.kind}`,
    column.extra === true ? "col-extra" : "",
  ];
  return names.filter((name) => name !== "").join(" ") || undefined;
}

export function DataTable<Row>(props: {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** A stable id per row, so that partial updates keep what has not changed. */
  readonly rowId: (row: Row) => string;
  readonly rowTone?: (row: Row) => string;
}) {
  return (
    <div class="table-frame">
      <table class="data-table">
        <caption class="visually-hidden">{props.caption}</caption>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th scope="col" class={classOf(column)}>
                {column.kind === "actions" || column.kind === "select" ? (
                  <span class="visually-hidden">{column.label}</span>
                ) : (
                  column.label
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr id={props.rowId(row)} class={props.rowTone?.(row)}>
              {props.columns.map((column) => (
                <td class={classOf(column)} data-label={column.label}>
                  <div class="cell">{column.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
