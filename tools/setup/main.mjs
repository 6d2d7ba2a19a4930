import { installDependencies } from "./dependencies.mjs";
import { Problem, sentenceFor } from "./problem.mjs";

export async function main(args) {
  try {
    installDependencies({ update: args.includes("--update") });
    if (args.includes("--tests")) {
      // Imported late: what it uses exists only after the installation.
      const { prepareTests } = await import("./tests.mjs");
      prepareTests();
    }
  } catch (error) {
    const sentence = error instanceof Problem ? error.message : sentenceFor(`${error?.code} ${error?.message}`);
    console.error(sentence ?? error);
    process.exitCode = 1;
  }
}
