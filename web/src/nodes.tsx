// The nodes, those in trouble first.
import { useState } from "preact/hooks";
import type { Node, NodeState, Pool, Snapshot } from "./api";
import { count } from "./format";
import { in_order } from "./live";
import { type Column, Head } from "./table";

const kShown = 200; // rows; more would make every update slow, and nobody reads them

const kColumns: readonly Column[] = [
  ["Node"],
  ["State"],
  ["In use"],
  ["Waiting", "number"],
  ["Pools", "wide"],
  ["Zone", "wide"],
  ["Location", "wide"],
  ["Config", "number wide"],
];

const kMeaning: Record<NodeState, string> = {
  up: "heard and well",
  suspect: "silent, gets no new work",
  frozen: "silent, kept because too many are",
  draining: "finishes its work, gets no new",
  dead: "silent for too long",
};

export function State({ state }: { state: NodeState }) {
  return (
    <span class={`state ${state}`} title={kMeaning[state]}>
      {state}
    </span>
  );
}

export function Use({ active, max }: { active: number; max: number }) {
  return (
    <span class="use">
      <meter
        min={0}
        max={Math.max(max, 1)}
        value={active}
        aria-label={`${active} of ${max} connections in use`}
      />
      {count(active)}/{count(max)}
    </span>
  );
}

function total(pools: Pool[], of: (pool: Pool) => number): number {
  return pools.reduce((sum, pool) => sum + of(pool), 0);
}

function Row({ node }: { node: Node }) {
  return (
    <tr data-node={node.node_id}>
      <th scope="row">{node.node_id}</th>
      <td>
        <State state={node.state} />
      </td>
      <td>
        <Use active={total(node.pools, (p) => p.active)} max={total(node.pools, (p) => p.max)} />
      </td>
      <td class="number">{count(total(node.pools, (p) => p.waiting))}</td>
      <td class="wide">
        {node.pools.map((pool) => (
          <span key={pool.pool_id} class={pool.healthy ? "chip" : "chip bad"}>
            {pool.pool_id}
            {pool.healthy ? "" : " (unhealthy)"}
          </span>
        ))}
      </td>
      <td class="wide">{node.zone || "–"}</td>
      <td class="wide">{node.location}</td>
      <td class="number wide">{count(node.config_version)}</td>
    </tr>
  );
}

export function Nodes({ snapshot }: { snapshot: Snapshot }) {
  const [filter, set_filter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const found = in_order(snapshot.nodes).filter((node) =>
    [
      node.node_id,
      node.state,
      node.zone ?? "",
      node.location,
      ...node.pools.map((pool) => pool.pool_id),
    ].some((text) => text.toLowerCase().includes(wanted)),
  );
  return (
    <section aria-labelledby="nodes">
      <header>
        <h2 id="nodes">Nodes</h2>
        <label>
          <span>Filter</span>
          <input
            type="search"
            value={filter}
            placeholder="name, state, zone, pool"
            onInput={(event) => set_filter(event.currentTarget.value)}
          />
        </label>
      </header>
      {snapshot.provisional && (
        <p class="note">
          The coordinator has just started: these are the nodes it remembers, until they are heard.
        </p>
      )}
      <table>
        <Head columns={kColumns} />
        <tbody>
          {found.slice(0, kShown).map((node) => (
            <Row key={node.node_id} node={node} />
          ))}
        </tbody>
      </table>
      <p class="dim" role="status">
        {snapshot.nodes.length === 0
          ? "No node has registered yet: start one with cenote node -c node.yaml"
          : `${count(Math.min(found.length, kShown))} of ${count(snapshot.nodes.length)} shown${
              found.length > kShown ? "; narrow it down with the filter" : ""
            }`}
      </p>
    </section>
  );
}
