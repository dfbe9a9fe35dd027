// The coordinator's API as the page needs it: calls with a token and a deadline, and the shapes of the answers.

// A number that JSON cannot hold exactly comes as its digits.
export type Whole = number | string;

export type NodeState = "up" | "suspect" | "frozen" | "draining" | "dead";

export interface Pool {
  pool_id: string;
  type: string;
  max: number;
  active: number;
  idle: number;
  waiting: number;
  healthy: boolean;
  writable: boolean;
  lag_ms?: number;
}

export interface Node {
  node_id: string;
  incarnation: Whole;
  location: string;
  zone?: string;
  weight: number;
  state: NodeState;
  config_version: Whole;
  pools: Pool[];
}

export interface Place {
  cluster: string;
  term: Whole;
  revision: Whole;
}

export interface Snapshot extends Place {
  provisional: boolean;
  nodes: Node[];
}

export interface Change extends Place {
  node_id: string;
  node: Node | null;
}

// Quantiles are upper bounds of histogram buckets, in seconds.
export interface Summary extends Place {
  preserving: boolean;
  pool_distribution: {
    nodes: Partial<Record<NodeState, number>>;
    pools: Record<string, PoolSum>;
  };
  request_routing: {
    requests: number;
    failures: number;
    success_rate: number | null;
    p50_seconds: number | null;
    p99_seconds: number | null;
  };
  failover: { switches: number; recovery_p50_seconds: number | null; recovery_p99_seconds: number | null };
  network_partition: {
    partitions: number;
    detection_p50_seconds: number | null;
    recovery_p50_seconds: number | null;
  };
  config_sync: {
    scopes: Record<string, { version: Whole; stage: string }>;
    syncs: number;
    failures: number;
    p50_seconds: number | null;
    p99_seconds: number | null;
  };
}

export interface PoolSum {
  instances: number;
  active: number;
  idle: number;
  waiting: number;
  max: number;
  unhealthy: number;
}

export interface Version {
  version: number;
  at: string;
  who: string;
  action: string;
  reason: string;
  previous: number;
  hash: string;
}

export interface Rollout {
  version: number;
  previous: number;
  stage: string;
  reason: string;
  nodes: Record<string, string>;
}

// An answer that is none of 2xx. `message` is the coordinator's own: it says what to do.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const kToken = "cenote.token";
const kDeadline = 10_000;

// Kept for this tab alone, and gone with it.
export const token = {
  get: () => sessionStorage.getItem(kToken) ?? "",
  set: (value: string) => sessionStorage.setItem(kToken, value),
  forget: () => sessionStorage.removeItem(kToken),
};

// The answer as soon as its head is there. Errors are ApiError, or TypeError if nothing answered.
export async function open(path: string, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store", credentials: "omit" });
  if (response.ok) return response;
  let detail = `${response.status} ${response.statusText}`;
  try {
    const problem = (await response.json()) as { detail?: string; title?: string };
    detail = problem.detail || problem.title || detail;
  } catch {
    // Something between us and the coordinator answered: its status has to do.
  }
  throw new ApiError(response.status, detail);
}

export async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  const response = await open(path, AbortSignal.any([signal, AbortSignal.timeout(kDeadline)]));
  return (await response.json()) as T;
}
