import { afterAll, beforeAll, expect, test } from "vitest";
import { hubRepositories } from "../fixtures.ts";
import { type Hub, startHub } from "../hub.mjs";

const id = "openai/clip-vit-base-patch32";
let hub: Hub;
beforeAll(async () => {
  hub = await startHub(hubRepositories);
});
afterAll(() => hub.close());

test("serves the files of several folders as one repository", async () => {
  const info = (await (await fetch(`${hub.url}/api/models/${id}`)).json()) as { siblings: { rfilename: string }[] };
  const names = info.siblings.map(({ rfilename }) => rfilename);
  for (const name of ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"]) {
    expect(names).toContain(name);
    expect((await fetch(`${hub.url}/${id}/resolve/main/${name}`, { method: "HEAD" })).status, name).toBe(200);
  }
});

test("serves ranges, and says what is not there", async () => {
  const url = `${hub.url}/${id}/resolve/main/config.json`;
  const whole = await (await fetch(url)).text();
  const part = await fetch(url, { headers: { Range: "bytes=2-5" } });
  expect(part.status).toBe(206);
  expect(await part.text()).toBe(whole.slice(2, 6));
  expect((await fetch(url, { headers: { Range: `bytes=${whole.length}-` } })).status).toBe(416);
  expect((await fetch(`${hub.url}/${id}/resolve/main/nothing.json`)).status).toBe(404);
  expect((await fetch(`${hub.url}/${id}/resolve/main/..%2f..%2fcore%2fpackage.json`)).status).toBe(404);
  expect((await fetch(`${hub.url}/nobody/nothing/resolve/main/config.json`)).status).toBe(404);
});
