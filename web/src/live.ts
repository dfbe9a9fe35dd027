// What the page knows of the cluster, kept up to date: the list and then its changes (watch), figures every two seconds.
import {
  ApiError,
  type Change,
  get,
  type Node,
  open,
  type Place,
  type Snapshot,
  type Summary,
  token,
} from "./api";
import { SseParser } from "./sse";

const kPoll = 2_000;
const kSilence = 12_000; // the coordinator sends a bookmark every 5 s
const kKept = 450; // samples: a quarter of an hour
const kLongestPause = 10_000;

export interface Sample {
  at: number; // seconds since 1970, as uPlot wants it
  summary: Summary;
}

export interface View {
  // The coordinator wants a (or another) token; the text says why, empty for the first time.
  locked: string | null;
  // Nothing answers since `since` (ms); what is shown is what was last heard.
  lost: { since: number; why: string } | null;
  snapshot: Snapshot | null;
  summary: Summary | null;
  samples: Sample[];
}

export const kNothing: View = { locked: null, lost: null, snapshot: null, summary: null, samples: [] };

function newer(a: Place, b: Place): boolean {
  return (
    a.cluster === b.cluster && String(a.term) === String(b.term) && BigInt(a.revision) > BigInt(b.revision)
  );
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function refusal(error: ApiError): string {
  return error.status === 401
    ? "The coordinator does not accept this token: it is unknown, expired or revoked."
    : `${error.message}. The dashboard needs a token with the role viewer or operator.`;
}

export class Live {
  private view = kNothing;
  private readonly stop = new AbortController();

  constructor(private readonly show: (view: View) => void) {}

  start(): void {
    void this.follow();
    void this.poll();
  }
  end(): void {
    this.stop.abort();
  }

  private update(some: Partial<View>): void {
    if (this.stop.signal.aborted) return;
    this.view = { ...this.view, ...some };
    this.show(this.view);
  }

  private failed(error: unknown): void {
    if (this.stop.signal.aborted) return;
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      // A token that was taken away must not leave what it could see on the screen.
      const asked = token.get() === "";
      token.forget();
      this.update({ ...kNothing, locked: asked ? "" : refusal(error) });
      this.stop.abort();
      return;
    }
    const why = error instanceof ApiError ? error.message : "it does not answer";
    this.update({ lost: this.view.lost ?? { since: Date.now(), why } });
  }

  private async follow(): Promise<void> {
    for (let pause = 0; !this.stop.signal.aborted; ) {
      try {
        const snapshot = await get<Snapshot>("/v1/nodes", this.stop.signal);
        this.update({ snapshot, lost: null });
        pause = 0;
        await this.watch(snapshot);
      } catch (error) {
        // 410: the history does not reach back; listing again is the answer.
        if (!(error instanceof ApiError && error.status === 410)) this.failed(error);
      }
      // Spread, so that many pages do not come back to a restarted coordinator together.
      await sleep(pause * (0.5 + Math.random() / 2), this.stop.signal);
      pause = Math.min(kLongestPause, pause * 2 || 500);
    }
  }

  // Until the stream ends, falls silent, or tells to list again.
  private async watch(from: Place): Promise<void> {
    const cut = new AbortController();
    let silence = setTimeout(() => cut.abort(), kSilence);
    try {
      const signal = AbortSignal.any([cut.signal, this.stop.signal]);
      const response = await open(`/v1/watch?from=${from.term}.${from.revision}`, signal);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new SseParser();
      for (;;) {
        const piece = await reader?.read();
        if (!piece || piece.done) return;
        clearTimeout(silence);
        silence = setTimeout(() => cut.abort(), kSilence);
        for (const { event, data } of parser.feed(piece.value)) {
          if (event === "reset") return;
          if (event === "change") this.apply(JSON.parse(data) as Change);
        }
      }
    } finally {
      clearTimeout(silence);
      cut.abort();
    }
  }

  private apply(change: Change): void {
    const seen = this.view.snapshot;
    if (!seen || !newer(change, seen)) return;
    const nodes = seen.nodes.filter((node) => node.node_id !== change.node_id);
    if (change.node) nodes.push(change.node);
    this.update({ snapshot: { ...seen, revision: change.revision, nodes }, lost: null });
  }

  // Load is not part of the changes: it comes with the list.
  private refresh(list: Snapshot): void {
    const seen = this.view.snapshot;
    if (!seen || newer(seen, list)) return;
    if (String(list.term) === String(seen.term)) this.update({ snapshot: list });
  }

  private async poll(): Promise<void> {
    while (!this.stop.signal.aborted) {
      if (!document.hidden) {
        try {
          const summary = await get<Summary>("/v1/summary", this.stop.signal);
          const samples = [...this.view.samples, { at: Date.now() / 1000, summary }].slice(-kKept);
          this.update({ summary, samples, lost: null });
          this.refresh(await get<Snapshot>("/v1/nodes", this.stop.signal));
        } catch (error) {
          this.failed(error);
        }
      }
      await sleep(kPoll, this.stop.signal);
    }
  }
}

export function in_order(nodes: Node[]): Node[] {
  const rank = { dead: 0, suspect: 1, frozen: 2, draining: 3, up: 4 };
  return [...nodes].sort((a, b) => rank[a.state] - rank[b.state] || a.node_id.localeCompare(b.node_id));
}
