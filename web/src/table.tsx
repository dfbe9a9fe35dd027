// The head of a table.

/**
 * What a column is called, and its class: "number" to the right, "wide" away on a phone, "unseen" for those who listen.
 */
export type Column = readonly [name: string, kind?: "number" | "wide" | "number wide" | "unseen"];

export function Head({ columns }: { columns: readonly Column[] }) {
  return (
    <thead>
      <tr>
        {columns.map(([name, kind]) => (
          <th key={name} scope="col" class={kind === "unseen" ? "" : kind}>
            {kind === "unseen" ? <span class={kind}>{name}</span> : name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
