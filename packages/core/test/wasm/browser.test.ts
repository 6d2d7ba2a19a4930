import { expect, test } from "vitest";
import { findBrowser, openPage } from "../../../../tools/testing/browser.mjs";

const entry = new URL("./browser-entry.ts", import.meta.url);

test.runIf(findBrowser())("an isolated page under a strict policy runs plans on two threads", async () => {
  const page = await openPage({ entry, webgpu: false });
  try {
    const result = await page.call<{ difference: string | null; launches: number; bytes: number }>("check", 2);
    expect(result).toMatchObject({ difference: null, bytes: 0 });
    expect(result.launches).toBeGreaterThan(0);
    expect(page.errors).toEqual([]);
  } finally {
    await page.close();
  }
});

test.runIf(findBrowser())("a page that is not isolated runs on one thread", async () => {
  const page = await openPage({ entry, webgpu: false, isolated: false });
  try {
    expect(await page.call("check", 2)).toEqual({ difference: null, launches: 0, bytes: 0 });
    expect(page.errors).toEqual([]);
  } finally {
    await page.close();
  }
});
