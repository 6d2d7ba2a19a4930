/** npm run release: publishes every package whose version is not on the registry yet. Called by the release workflow. */
import { run } from "./lib/run.ts";

const checked = await run(
  process.execPath,
  ["--import", "tsx", "tools/test.ts", "manifests", "layers", "published", "consumer"],
  {
    show: true,
  },
);
if (checked.status !== 0) process.exit(1);
// changeset publishes by pnpm, which applies publishConfig.exports and turns workspace: ranges into versions.
const published = await run("changeset", ["publish"], { show: true });
process.exit(published.status);
