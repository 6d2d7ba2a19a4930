// Which Vulkan driver the tests use in Node (npm `webgpu` is Dawn), and which kinds of test a run may leave out.
// Plain JavaScript, because the set-up scripts need it before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { findBrowser } from "./find-browser.mjs";

/** Mesa before 25 fails WebGPU's conformance for storage buffers, so an older lavapipe is not used. */
export const MESA_AT_LEAST = 25;

const ICD_FOLDERS = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/** The software Vulkan driver of this machine: Mesa's lavapipe (f16, subgroups), else the SwiftShader of a Chromium. */
export function softwareDriver() {
  for (const folder of ICD_FOLDERS) {
    if (!existsSync(folder)) continue;
    const file = readdirSync(folder).find((name) => /^lvp_icd.*\.json$/.test(name));
    if (file && mesaMajor() >= MESA_AT_LEAST) return { name: "lavapipe", icd: path.join(folder, file) };
  }
  const browser = findBrowser();
  const folders = [browser && path.dirname(realpathSync(browser)), "/usr/lib/chromium", "/opt/google/chrome"];
  for (const folder of folders) {
    const icd = folder && path.join(folder, "vk_swiftshader_icd.json");
    if (icd && existsSync(icd)) return { name: "swiftshader", icd };
  }
  return undefined;
}

/**
 * Environment variables under which Dawn finds an adapter. A software driver is chosen unless the caller set a driver
 * (VK_ICD_FILENAMES or VK_DRIVER_FILES) or asks for the machine's GPU by VLM_GPU=hardware.
 */
export function gpuEnvironment(env = process.env) {
  if (process.platform !== "linux") return {};
  const set = {};
  if (!env.XDG_RUNTIME_DIR) {
    // Mesa prints a complaint for every instance without it.
    set.XDG_RUNTIME_DIR = path.join(os.tmpdir(), `vlm-runtime-${process.getuid?.() ?? 0}`);
    mkdirSync(set.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  }
  const chosen = env.VK_ICD_FILENAMES || env.VK_DRIVER_FILES;
  if (!chosen && env.VLM_GPU !== "hardware") {
    const driver = softwareDriver();
    if (driver) set.VK_ICD_FILENAMES = driver.icd;
  }
  return set;
}

/** True when VLM_ALLOW_SKIP lists `kind` ("webgpu" or "browser"): the only way to leave such tests out. */
export function skipAllowed(kind, env = process.env) {
  return (env.VLM_ALLOW_SKIP ?? "").split(",").some((entry) => entry.trim() === kind);
}

function mesaMajor() {
  // The driver's own file does not tell its version; the package manager does. Unknown (built by hand) counts as new.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the format is dpkg's own.
  const dpkg = spawnSync("dpkg-query", ["-W", "-f", "${Version}", "mesa-vulkan-drivers"], { encoding: "utf8" });
  const version = dpkg.status === 0 ? Number.parseInt(dpkg.stdout, 10) : Number.POSITIVE_INFINITY;
  return Number.isNaN(version) ? 0 : version;
}
