// npm start and npm test begin here: node tools/setup.mjs [--tests] [--update]
//   --tests   also makes sure that a WebGPU adapter and a browser exist
//   --update  lets pnpm change the lockfile (after editing a package.json)
// Only syntax that very old versions of Node can read, so that they too get the sentence and not a syntax error.
const MINIMUM = [20, 19];
const parts = process.versions.node.split(".").map(Number);

if (parts[0] < MINIMUM[0] || (parts[0] === MINIMUM[0] && parts[1] < MINIMUM[1])) {
  console.error(
    "vlm needs Node " +
      MINIMUM.join(".") +
      " or newer, and this is Node " +
      process.versions.node +
      ": install a newer one and run the command again.",
  );
  process.exit(1);
}

import("./setup/main.mjs").then(
  (setup) => setup.main(process.argv.slice(2)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
