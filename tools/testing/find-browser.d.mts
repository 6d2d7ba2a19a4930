/** Path of a Chromium: VLM_BROWSER, else one on PATH, else one that Playwright downloaded, else undefined. */
export function findBrowser(env?: Record<string, string | undefined>): string | undefined;
