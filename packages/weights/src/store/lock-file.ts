import { wait } from "../net/wait.ts";
import { storageError, systemCode } from "./storage-error.ts";

/** Who holds a lock. */
export type LockOwner = { pid: number; host: string; id: string; since: string };

export type Lock = { release(): Promise<void> };

/** A lock whose file was not touched for this long belongs to nobody any more. */
const EXPIRY = 60_000;
const HEARTBEAT = 10_000;

/**
 * Takes a lock between processes (Node): a file that only one can create, refreshed while it is held. One whose
 * process is gone, or which was not refreshed for a minute, is taken over. Gives the owner if somebody holds it.
 */
export async function tryLock(path: string): Promise<Lock | LockOwner> {
  const [fs, { hostname }, { randomUUID }] = await Promise.all([
    import("node:fs/promises"),
    import("node:os"),
    import("node:crypto"),
  ]);
  const id = randomUUID();
  const text = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    id,
    since: new Date().toISOString(),
  } satisfies LockOwner);
  for (let attempt = 0; ; attempt++) {
    // Written elsewhere and linked, so that the lock never exists without its content.
    const draft = `${path}.${id}`;
    try {
      await fs.writeFile(draft, text);
      await fs.link(draft, path);
      break;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw storageError(error, "lock", path);
    } finally {
      await fs.rm(draft, { force: true });
    }
    const [content, stat] = await Promise.all([
      fs.readFile(path, "utf8").catch(() => ""),
      fs.stat(path).catch(() => undefined),
    ]);
    const owner = parseOwner(content);
    if (stat && !isAbandoned(owner, stat.mtimeMs, hostname()) && owner) return owner;
    if (attempt > 20 && owner) return owner;
    if (stat) await takeAway(fs, path, content, id);
  }
  const timer = setInterval(() => void fs.utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      const held = parseOwner(await fs.readFile(path, "utf8").catch(() => ""));
      if (held?.id === id) await fs.rm(path, { force: true });
    },
  };
}

/** Takes a lock, waiting until its holder gives it up. */
export async function lock(path: string, signal?: AbortSignal): Promise<Lock> {
  for (;;) {
    const held = await tryLock(path);
    if ("release" in held) return held;
    await wait(100, signal);
  }
}

function isAbandoned(owner: LockOwner | undefined, touched: number, host: string): boolean {
  if (Date.now() - touched > EXPIRY) return true;
  if (!owner || owner.host !== host) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
}

/** Removes an abandoned lock, unless somebody else replaced it meanwhile: then it is put back. */
async function takeAway(
  fs: typeof import("node:fs/promises"),
  path: string,
  expected: string,
  id: string,
): Promise<void> {
  const aside = `${path}.${id}.old`;
  try {
    await fs.rename(path, aside);
    if ((await fs.readFile(aside, "utf8")) !== expected) await fs.link(aside, path);
  } catch (error) {
    if (!["ENOENT", "EEXIST"].includes(systemCode(error))) throw storageError(error, "lock", path);
  } finally {
    await fs.rm(aside, { force: true });
  }
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(text) as LockOwner;
    return typeof owner.pid === "number" && typeof owner.id === "string" ? owner : undefined;
  } catch {
    return undefined;
  }
}
