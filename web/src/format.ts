// Numbers and times as people read them.
import type { Whole } from "./api";

const kNone = "–";

export function count(value: Whole): string {
  return typeof value === "number" ? value.toLocaleString("en") : value;
}

export function percent(share: number | null): string {
  if (share === null) return kNone;
  // 99.996 % is not 100 %: failures must not be rounded away.
  const floored = Math.floor(share * 100_000) / 1_000;
  return `${floored.toFixed(share === 1 ? 0 : 3)} %`;
}

// Quantiles are upper bounds of buckets, hence the sign; none has been measured while there are no values.
export function seconds(value: number | null, values: number): string {
  if (value === null || values === 0) return kNone;
  if (value < 1) return `≤ ${Number((value * 1_000).toPrecision(3))} ms`;
  return `≤ ${Number(value.toPrecision(3))} s`;
}

export function rate(perSecond: number | null): string {
  return perSecond === null ? kNone : `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} /s`;
}

export function ratio(good: number, all: number): number | null {
  return all > 0 ? good / all : null;
}

export function time(iso: string): string {
  const at = new Date(iso);
  return Number.isNaN(at.getTime())
    ? iso
    : at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}
