/** A problem that the person can solve: printed as its one sentence, without a stack. */
export class Problem extends Error {}

const CAUSES = [
  [
    /ENOSPC|EDQUOT|no space left on device|disk quota exceeded|SQLITE_FULL/i,
    (what) => `The disk is full: free some space (the workspace needs about 1 GB) and ${what} again.`,
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED|NO_OFFLINE_TARBALL|FETCH_ERROR|Temporary failure resolving|Could not resolve|Could not connect/i,
    (what) => `The package registry cannot be reached: connect to the network (or set its proxy) and ${what} again.`,
  ],
  [
    /EACCES|EROFS|EPERM|Permission denied/i,
    (what) => `A folder cannot be written: make the workspace and your home folder writable and ${what} again.`,
  ],
  [
    /ERR_PNPM_OUTDATED_LOCKFILE|frozen-lockfile.*not up to date/i,
    () => "pnpm-lock.yaml does not fit the package.json files: run `npm run deps` and commit the lockfile.",
  ],
];

/** The sentence for a failed command, or undefined when its output names no cause that is known here. */
export function sentenceFor(output, what = "run the command") {
  const found = CAUSES.find(([pattern]) => pattern.test(output));
  return found?.[1](what);
}
