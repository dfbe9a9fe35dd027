// ADR-002's five groups of metrics, each with its figures and their last quarter of an hour.
import type { ComponentChildren } from "preact";
import type { Summary } from "./api";
import { Chart, type Line } from "./chart";
import { count, percent, rate, ratio, seconds } from "./format";
import type { Sample } from "./live";

type Figure = [name: string, value: string, bad?: boolean];

function Group({
  id,
  title,
  figures,
  children,
}: {
  id: string;
  title: string;
  figures: Figure[];
  children: ComponentChildren;
}) {
  return (
    <article aria-labelledby={id}>
      <h3 id={id}>{title}</h3>
      <dl>
        {figures.map(([name, value, bad]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={bad ? "bad" : ""}>{value}</dd>
          </div>
        ))}
      </dl>
      {children}
    </article>
  );
}

function pool_total(
  summary: Summary,
  key: "active" | "idle" | "waiting" | "instances" | "unhealthy",
): number {
  return Object.values(summary.pool_distribution.pools).reduce((sum, pool) => sum + pool[key], 0);
}

// How fast a count grows between samples; a count that fell was a coordinator's restart.
function rates(samples: Sample[], of: (summary: Summary) => number): (number | null)[] {
  return samples.map((sample, i) => {
    const before = samples[i - 1];
    if (!before) return null;
    const grown = of(sample.summary) - of(before.summary);
    return grown < 0 ? null : grown / (sample.at - before.at);
  });
}

function millis(samples: Sample[], of: (s: Summary) => number | null, values: (s: Summary) => number) {
  return samples.map(({ summary }) => (values(summary) > 0 ? (of(summary) ?? 0) * 1000 : null));
}

function Distribution({ summary, samples, at }: Props) {
  const { nodes, pools } = summary.pool_distribution;
  const all = Object.values(nodes).reduce((sum, n) => sum + n, 0);
  const line = (name: "active" | "idle" | "waiting", color: Line["color"]): Line => ({
    name,
    color,
    values: samples.map((sample) => pool_total(sample.summary, name)),
  });
  const figures: Figure[] = [
    ["Nodes up", `${count(nodes.up ?? 0)} of ${count(all)}`, (nodes.up ?? 0) < all],
    ["Pools", count(Object.keys(pools).length)],
    ["Instances", count(pool_total(summary, "instances"))],
    ["Unhealthy", count(pool_total(summary, "unhealthy")), pool_total(summary, "unhealthy") > 0],
  ];
  return (
    <Group id="distribution" title="Pool distribution" figures={figures}>
      <Chart
        title="Connections"
        unit="all nodes"
        at={at}
        lines={[line("active", "one"), line("idle", "two"), line("waiting", "three")]}
      />
    </Group>
  );
}

function Routing({ summary, samples, at }: Props) {
  const { requests, failures, success_rate, p50_seconds, p99_seconds } = summary.request_routing;
  const flow = rates(samples, (s) => s.request_routing.requests);
  const requests_of = (s: Summary) => s.request_routing.requests;
  const lines: Line[] = [
    { name: "p50", color: "two", values: millis(samples, (s) => s.request_routing.p50_seconds, requests_of) },
    { name: "p99", color: "one", values: millis(samples, (s) => s.request_routing.p99_seconds, requests_of) },
  ];
  const figures: Figure[] = [
    ["Success", percent(success_rate), success_rate !== null && success_rate < 0.999],
    ["Requests", `${count(requests)}, ${rate(flow.at(-1) ?? null)}`],
    ["Failed", count(failures)],
    ["Latency p50", seconds(p50_seconds, requests)],
    ["Latency p99", seconds(p99_seconds, requests)],
  ];
  return (
    <Group id="routing" title="Request routing" figures={figures}>
      <Chart title="Latency" unit="ms" at={at} lines={lines} />
    </Group>
  );
}

function Failover({ summary, samples, at }: Props) {
  const { switches, recovery_p50_seconds, recovery_p99_seconds } = summary.failover;
  const figures: Figure[] = [
    ["Switches", count(switches)],
    ["Recovery p50", seconds(recovery_p50_seconds, switches)],
    ["Recovery p99", seconds(recovery_p99_seconds, switches)],
  ];
  const values = rates(samples, (s) => s.failover.switches).map((each) => (each === null ? null : each * 60));
  return (
    <Group id="failover" title="Failover" figures={figures}>
      <Chart
        title="Frequency"
        unit="per minute"
        at={at}
        lines={[{ name: "switches", color: "one", values }]}
      />
    </Group>
  );
}

function Partition({ summary, samples, at }: Props) {
  const { partitions, detection_p50_seconds, recovery_p50_seconds } = summary.network_partition;
  const figures: Figure[] = [
    ["Partitions", count(partitions)],
    ["Detection p50", seconds(detection_p50_seconds, partitions)],
    ["Recovery p50", seconds(recovery_p50_seconds, partitions)],
    ["Self-preservation", summary.preserving ? "holds" : "off", summary.preserving],
  ];
  const values = samples.map((sample) => sample.summary.network_partition.partitions);
  return (
    <Group id="partition" title="Network partition" figures={figures}>
      <Chart
        title="Since the start"
        unit="partitions"
        at={at}
        lines={[{ name: "seen", color: "one", values }]}
      />
    </Group>
  );
}

function Sync({ summary, samples, at }: Props) {
  const { syncs, failures, p50_seconds, p99_seconds } = summary.config_sync;
  const figures: Figure[] = [
    ["Success", percent(ratio(syncs - failures, syncs)), failures > 0],
    ["Syncs", count(syncs)],
    ["Failed", count(failures), failures > 0],
    ["Latency p50", seconds(p50_seconds, syncs)],
    ["Latency p99", seconds(p99_seconds, syncs)],
  ];
  const syncs_of = (s: Summary) => s.config_sync.syncs;
  const values = millis(samples, (s) => s.config_sync.p99_seconds, syncs_of);
  return (
    <Group id="sync" title="Configuration sync" figures={figures}>
      <Chart title="Latency" unit="ms" at={at} lines={[{ name: "p99", color: "one", values }]} />
    </Group>
  );
}

interface Props {
  summary: Summary;
  samples: Sample[];
  at: number[];
}

export function Groups({ summary, samples }: { summary: Summary; samples: Sample[] }) {
  const props = { summary, samples, at: samples.map((sample) => sample.at) };
  return (
    <section aria-labelledby="metrics">
      <h2 id="metrics">Metrics</h2>
      <div class="groups">
        <Distribution {...props} />
        <Routing {...props} />
        <Failover {...props} />
        <Partition {...props} />
        <Sync {...props} />
      </div>
    </section>
  );
}
