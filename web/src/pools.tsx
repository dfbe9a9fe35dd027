// The pools, each with all its instances together.
import type { Snapshot } from "./api";
import { count } from "./format";
import { Use } from "./nodes";
import { type Column, Head } from "./table";

const kColumns: readonly Column[] = [
  ["Pool"],
  ["Usable"],
  ["In use"],
  ["Waiting", "number"],
  ["Idle", "number wide"],
  ["Unhealthy", "number wide"],
  ["Type", "wide"],
];

interface Row {
  types: Set<string>;
  up: number;
  instances: number;
  unhealthy: number;
  active: number;
  idle: number;
  waiting: number;
  max: number;
}

function by_pool(snapshot: Snapshot): [string, Row][] {
  const rows = new Map<string, Row>();
  for (const node of snapshot.nodes) {
    for (const pool of node.pools) {
      const row = rows.get(pool.pool_id) ?? {
        types: new Set(),
        up: 0,
        instances: 0,
        unhealthy: 0,
        active: 0,
        idle: 0,
        waiting: 0,
        max: 0,
      };
      row.types.add(pool.type);
      row.instances += 1;
      row.unhealthy += pool.healthy ? 0 : 1;
      // What a dead node last said of its load says nothing of now.
      if (node.state !== "dead") {
        row.up += node.state === "up" && pool.healthy ? 1 : 0;
        row.active += pool.active;
        row.idle += pool.idle;
        row.waiting += pool.waiting;
        row.max += pool.max;
      }
      rows.set(pool.pool_id, row);
    }
  }
  return [...rows].sort(([a], [b]) => a.localeCompare(b));
}

export function Pools({ snapshot }: { snapshot: Snapshot }) {
  return (
    <section aria-labelledby="pools">
      <h2 id="pools">Pools</h2>
      <table>
        <Head columns={kColumns} />
        <tbody>
          {by_pool(snapshot).map(([id, row]) => (
            <tr key={id} data-pool={id}>
              <th scope="row">{id}</th>
              <td class={row.up === 0 ? "bad" : ""}>
                {count(row.up)} of {count(row.instances)}
              </td>
              <td>
                <Use active={row.active} max={row.max} />
              </td>
              <td class="number">{count(row.waiting)}</td>
              <td class="number wide">{count(row.idle)}</td>
              <td class={row.unhealthy > 0 ? "number wide bad" : "number wide"}>{count(row.unhealthy)}</td>
              <td class="wide">{[...row.types].sort().join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
