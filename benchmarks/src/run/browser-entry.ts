/** The page of a contender: what `browser-channel.ts` calls. */
import { openers } from "../contenders/in-browser.ts";
import type { Reply, Request } from "./protocol.ts";
import { answering } from "./session.ts";

const answerRequest = answering({
  openers,
  deliver: async (_file, parts) => {
    await fetch("/results", { method: "POST", body: new Blob(parts as readonly BlobPart[] as BlobPart[]) });
  },
});

/** The same number of threads for everybody: some libraries ask the browser how many there are. */
export function answer(request: Request): Promise<Reply> {
  if (request.do === "open") {
    Object.defineProperty(navigator, "hardwareConcurrency", { value: request.threads, configurable: true });
  }
  return answerRequest(request);
}

/** The words of the WebGPU adapter about itself, or null. */
export async function adapter(): Promise<string | null> {
  const found = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!found) return null;
  const { vendor, architecture, device, description } = found.info;
  return [vendor, architecture, device, description].filter(Boolean).join(" ");
}
