// A model hub on 127.0.0.1 for tests and README snippets: HF_ENDPOINT points here, so `load("owner/name")` takes the
// same path through the code as on the network, and gets a tiny checkpoint.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import http from "node:http";
import path from "node:path";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** `repositories` maps hub ids (`owner/name`) to folders; a file is served from the first that has it. */
export async function startHub(repositories) {
  const requests = [];
  const server = http.createServer((request, response) => {
    const pathname = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    requests.push(`${request.method} ${pathname}`);
    const [, api, id, rest = ""] = /^\/(api\/models\/)?([^/]+\/[^/]+)(\/.*)?$/.exec(pathname) ?? [];
    const folders = id && Object.hasOwn(repositories, id) ? repositories[id] : undefined;
    if (!folders) return void response.writeHead(404, { "X-Error-Code": "RepoNotFound" }).end();
    if (api) return void sendInfo(response, id, folders);
    sendFile(request, response, folders, /^\/resolve\/[^/]+\/(.+)$/.exec(rest)?.[1]);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendInfo(response, id, folders) {
  const names = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true })
      .map(String)
      .filter((name) => statSync(path.join(folder, name)).isFile()),
  );
  const siblings = [...new Set(names)].map((name) => {
    const folder = folders.find((candidate) => existsSync(path.join(candidate, name)));
    const content = readFileSync(path.join(folder, name));
    // As with `?blobs=true`: what git calls the file, by which a download is checked.
    const blobId = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    return { rfilename: name.replaceAll("\\", "/"), size: content.length, blobId };
  });
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ id, sha: COMMIT, siblings }));
}

function sendFile(request, response, folders, name) {
  const isInside = (folder, file) => file.startsWith(`${folder}${path.sep}`) && existsSync(file);
  const folder = name && folders.find((candidate) => isInside(candidate, path.join(candidate, name)));
  const file = folder && path.join(folder, name);
  if (!file || !statSync(file).isFile()) {
    return void response.writeHead(404, { "X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT }).end();
  }
  const size = statSync(file).size;
  response.setHeader("ETag", `"${createHash("sha256").update(readFileSync(file)).digest("hex")}"`);
  response.setHeader("X-Repo-Commit", COMMIT);
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("Content-Type", "application/octet-stream");
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const start = first ? Number(first) : last ? Math.max(0, size - Number(last)) : 0;
  const end = first && last ? Math.min(Number(last), size - 1) : size - 1;
  if (request.headers.range && start >= size) {
    return void response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
  }
  if (request.headers.range) response.setHeader("Content-Range", `bytes ${start}-${end}/${size}`);
  response.setHeader("Content-Length", size === 0 ? 0 : end - start + 1);
  response.writeHead(request.headers.range ? 206 : 200);
  if (request.method === "HEAD" || size === 0) return void response.end();
  createReadStream(file, { start, end }).pipe(response);
}
