/**
 * pnpm docs: the site in docs/site: every export of every package, the guides of docs/, a page per error code and the
 * table of ops by device. Any warning is a failure: an export without words, a link that leads nowhere.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Application, Converter, type DocumentReflection } from "typedoc";
import { brokenDocumentLinks, brokenLinks } from "./docs/links.ts";
import { cacheFolder, repositoryFiles, root } from "./lib/workspace.ts";

process.chdir(root);
const site = path.join(root, "docs", "site");
const generated = path.join(cacheFolder, "docs");

await writeGenerated();
const guides = repositoryFiles().filter((file) => /^docs\/[^/]+\/.+\.md$/.test(file));
const pages = readdirSync(generated, { recursive: true }).map((name) => path.join(generated, String(name)));

const app = await Application.bootstrapWithPlugins({
  options: path.join(root, "typedoc.json"),
  projectDocuments: [...guides.map((file) => path.join(root, file)), ...pages.filter((file) => file.endsWith(".md"))],
});
app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context: unknown, document: DocumentReflection) =>
  nameByHeading(document),
);
const project = await app.convert();
if (!project) fail(["typedoc could not convert the packages; its own words are above"]);
rmSync(site, { recursive: true, force: true });
await app.generateDocs(project, site);
const documents = repositoryFiles().filter((file) =>
  /^([A-Z]+\.md|docs\/.*\.md|packages\/[^/]+\/README\.md)$/.test(file),
);
const problems = [...brokenLinks(site), ...brokenDocumentLinks(root, documents)];
if (app.logger.warningCount + app.logger.errorCount > 0) {
  problems.push(`${app.logger.warningCount + app.logger.errorCount} warnings of typedoc, above`);
}
if (problems.length > 0) fail(problems);
console.log(`docs/site: ${guides.length} guides, ${pages.length} generated pages`);

/** Modules of tools/docs/pages each export `pages()`: path below the site's documents -> Markdown. */
async function writeGenerated(): Promise<void> {
  rmSync(generated, { recursive: true, force: true });
  const folder = path.join(root, "tools", "docs", "pages");
  for (const file of readdirSync(folder).sort()) {
    const module = (await import(pathToFileURL(path.join(folder, file)).href)) as {
      pages(): Promise<Record<string, string>> | Record<string, string>;
    };
    for (const [name, text] of Object.entries(await module.pages())) {
      mkdirSync(path.dirname(path.join(generated, name)), { recursive: true });
      writeFileSync(path.join(generated, name), text);
    }
  }
}

/** A guide is called what its heading says, and stands in the group of its folder: docs/core/memory.md in "Core". */
function nameByHeading(document: DocumentReflection): void {
  const [first] = document.content;
  const heading = first?.kind === "text" ? /^\s*# (.+)\n/.exec(first.text) : null;
  if (heading && first) {
    document.name = heading[1] as string;
    first.text = first.text.slice(heading[0].length);
  }
  const source = document.project.files.getReflectionPath(document) ?? "";
  const folder = path.basename(path.dirname(source));
  document.frontmatter.group ??= folder.charAt(0).toUpperCase() + folder.slice(1);
}

function fail(messages: string[]): never {
  console.error(messages.slice(0, 60).join("\n"));
  console.error(`the documentation has ${messages.length} problems`);
  process.exit(1);
}
