/** A page per error code, from the places in the sources that throw it. */
import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { packages, repositoryFiles, root } from "../../lib/workspace.ts";

type Site = { error: string; file: string; what: string; hint: string | undefined };

const PACKAGE = /^packages\/([^/]+)\//;

/** Markdown files: their path below the folder of generated documents, and their text. */
export function pages(): Record<string, string> {
  const byCode = new Map<string, Site[]>();
  for (const file of repositoryFiles()) {
    if (!/^packages\/[^/]+\/src\/.*\.ts$/.test(file) || file.endsWith(".test.ts")) continue;
    for (const [code, site] of sitesIn(file)) byCode.set(code, [...(byCode.get(code) ?? []), site]);
  }
  const codes = [...byCode.keys()].sort();
  const each = Object.fromEntries(codes.map((code) => [`errors/${code}.md`, page(code, byCode.get(code) ?? [])]));
  return { ...each, "errors/all.md": overview(codes, byCode) };
}

/** `new VlmError("Class", "CODE", { what, hint })` and, in the same shape, the tokenizers' own class. */
function* sitesIn(file: string): Generator<[string, Site]> {
  const text = readFileSync(path.join(root, file), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: [string, Site][] = [];
  const visit = (node: ts.Node): void => {
    const parsed = parse(node, source, file);
    if (parsed) found.push(parsed);
    ts.forEachChild(node, visit);
  };
  visit(source);
  yield* found;
}

function parse(node: ts.Node, source: ts.SourceFile, file: string): [string, Site] | undefined {
  if (!ts.isNewExpression(node) && !ts.isCallExpression(node)) return undefined;
  const [error, code, parts] = node.arguments ?? [];
  if (!error || !code || !ts.isStringLiteral(error) || !ts.isStringLiteral(code)) return undefined;
  if (!/Error$/.test(error.text) || !/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(code.text)) return undefined;
  const text = (name: string): string | undefined => {
    if (!parts || !ts.isObjectLiteralExpression(parts)) return undefined;
    const property = parts.properties.find((item) => item.name?.getText(source) === name);
    return property && ts.isPropertyAssignment(property) ? template(property.initializer, source) : undefined;
  };
  const what = text("what") ?? (parts && ts.isExpression(parts) ? template(parts, source) : undefined);
  return [code.text, { error: error.text, file, what: what ?? "", hint: text("hint") }];
}

/** The words of a message, with `‹…›` where a value goes. */
function template(node: ts.Expression, source: ts.SourceFile): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    const spans = node.templateSpans.map((span) => `‹${label(span.expression, source)}›${span.literal.text}`);
    return node.head.text + spans.join("");
  }
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    return `${template(node.left, source) ?? "‹…›"}${template(node.right, source) ?? "‹…›"}`;
  }
  if (ts.isConditionalExpression(node)) {
    const [yes, no] = [template(node.whenTrue, source), template(node.whenFalse, source)];
    return yes !== undefined && no !== undefined ? `${yes} / ${no}` : (yes ?? no);
  }
  return undefined;
}

function label(node: ts.Expression, source: ts.SourceFile): string {
  if (ts.isIdentifier(node) || ts.isPropertyAccessExpression(node)) return node.getText(source);
  if (ts.isCallExpression(node) && node.arguments.length === 1)
    return label(node.arguments[0] as ts.Expression, source);
  return "…";
}

function page(code: string, sites: Site[]): string {
  const classes = [...new Set(sites.map((site) => site.error))];
  const where = [...new Set(sites.map((site) => PACKAGE.exec(site.file)?.[1]))];
  const messages = [...new Map(sites.filter(({ what }) => what).map((site) => [site.what, site])).values()];
  const lines = messages.flatMap(({ what, hint }) => [
    `    ${oneLine(what)}`,
    ...(hint ? [`      ${oneLine(hint)}`] : []),
    "",
  ]);
  return `# ${code}

${classes.map((name) => `\`${name}\``).join(", ")}, thrown by ${where.map((name) => `\`@vlm/${name}\``).join(", ")}.

## Message

${lines.length > 0 ? `What happened, and what to try; ‹names› stand for values:\n\n${lines.join("\n")}` : "The message names the values involved.\n"}
## In a program

    if (isVlmError(error) && error.code === "${code}") { ... }

## Thrown in

${[...new Set(sites.map(({ file }) => `- \`${file}\``))].join("\n")}
`;
}

function overview(codes: string[], byCode: Map<string, Site[]>): string {
  const rows = codes.map((code) => {
    const sites = byCode.get(code) ?? [];
    const names = [...new Set(sites.map(({ file }) => `\`@vlm/${PACKAGE.exec(file)?.[1]}\``))];
    return `| [${code}](./${code}.md) | \`${sites[0]?.error}\` | ${names.join(", ")} |`;
  });
  return `# All error codes

Every error has a \`code\` that stays the same between versions, and a message of three lines: what happened, where, and
what to try. ${codes.length} codes in ${packages().length} packages.

| code | class | package |
| --- | --- | --- |
${rows.join("\n")}
`;
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();
