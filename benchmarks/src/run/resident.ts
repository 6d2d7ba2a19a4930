import { readFileSync } from "node:fs";
import type { Resident } from "./protocol.ts";

/**
 * Resident bytes of a process, now and at most, from Linux's /proc; null elsewhere. `getrusage` will not do: its maximum
 * survives `exec`, so that a child starts with the peak of the process that started it.
 */
export function residentOf(pid: number): Resident | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
    const [now, peak] = [bytes("VmRSS"), bytes("VmHWM")];
    return Number.isNaN(now + peak) ? null : { now, peak };
  } catch {
    return null;
  }
}
