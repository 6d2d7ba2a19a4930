/** Links of the generated site and of the repository's own documents lead to something that exists. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Relative links of Markdown files, as a reader of the repository follows them. */
export function brokenDocumentLinks(root: string, documents: string[]): string[] {
  return documents.flatMap((document) => {
    const text = readFileSync(path.join(root, document), "utf8").replace(/^```.*?^```$/gms, "");
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, href]) => (href as string).split("#")[0] as string)
      .filter((href) => href && !/^[a-z]+:/i.test(href))
      .filter((href) => !existsSync(path.join(root, path.dirname(document), href)))
      .map((href) => `${document}: ${href} leads nowhere`);
  });
}

/** Every link inside the generated site leads to a page and an anchor that exist. */
export function brokenLinks(site: string): string[] {
  const pages = readdirSync(site, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".html"));
  const anchors = new Map<string, Set<string>>();
  const anchorsOf = (file: string): Set<string> => {
    let found = anchors.get(file);
    if (!found) {
      const text = readFileSync(file, "utf8");
      found = new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => decode(id as string)));
      anchors.set(file, found);
    }
    return found;
  };
  const broken: string[] = [];
  for (const name of pages) {
    const page = path.join(site, name);
    for (const [, raw] of readFileSync(page, "utf8").matchAll(/<a\b[^>]*\shref="([^"]*)"/g)) {
      const href = decode(raw as string);
      if (/^[a-z]+:/i.test(href) || href === "#") continue;
      const [target = "", anchor] = href.split("#");
      let file = target ? path.resolve(path.dirname(page), decodeURIComponent(target)) : page;
      if (existsSync(file) && statSync(file).isDirectory()) file = path.join(file, "index.html");
      if (!existsSync(file)) broken.push(`${name}: ${href} leads nowhere`);
      else if (anchor && file.endsWith(".html") && !anchorsOf(file).has(decodeURIComponent(anchor))) {
        broken.push(`${name}: ${href} names no place on that page`);
      }
    }
  }
  return [...new Set(broken)];
}

function decode(text: string): string {
  return text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">");
}
