// Finds a Chromium. Plain JavaScript without dependencies: the set-up scripts use it before anything is installed.
import { existsSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"];

/** Path of a Chromium: VLM_BROWSER, else one on PATH, else one that Playwright downloaded, else undefined. */
export function findBrowser(env = process.env) {
  if (env.VLM_BROWSER) return existsSync(env.VLM_BROWSER) ? env.VLM_BROWSER : undefined;
  for (const folder of (env.PATH ?? "").split(path.delimiter)) {
    for (const name of NAMES) {
      const file = path.join(folder, process.platform === "win32" ? `${name}.exe` : name);
      if (folder && existsSync(file)) return file;
    }
  }
  return [...applications(env), ...playwrightBrowsers(env)].find((file) => existsSync(file));
}

function applications(env) {
  if (process.platform === "darwin") {
    return ["Google Chrome", "Chromium", "Microsoft Edge"].map(
      (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
    );
  }
  if (process.platform !== "win32") return [];
  return [env.PROGRAMFILES, env["PROGRAMFILES(X86)"], env.LOCALAPPDATA]
    .filter(Boolean)
    .map((folder) => path.join(folder, "Google", "Chrome", "Application", "chrome.exe"));
}

function playwrightBrowsers(env) {
  const folder = env.PLAYWRIGHT_BROWSERS_PATH ?? path.join(os.homedir(), ".cache", "ms-playwright");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^chromium-\d+$/.test(name))
    .sort()
    .reverse()
    .flatMap((name) => ["chrome-linux/chrome", "chrome-linux64/chrome"].map((tail) => path.join(folder, name, tail)));
}
