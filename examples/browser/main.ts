/** The page: what is seen and pressed. Training and searching happen in `worker.ts`. */
import { Curve } from "./curve.ts";
import { Drawing } from "./drawing.ts";
import { COLUMNS, type EmojiWords, type Found, type FromWorker, SIZE, type ToWorker } from "./messages.ts";

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const settings = new URLSearchParams(location.search);
const emoji = (await (await fetch(new URL("emoji.json", document.baseURI))).json()) as EmojiWords[];

// Kept in memory, so that nothing is fetched after the page has loaded.
const sheet = URL.createObjectURL(await (await fetch(new URL("emoji.png", document.baseURI))).blob());
document.documentElement.style.setProperty("--sheet", `url("${sheet}")`);

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const tell = (message: ToWorker): void => worker.postMessage(message);
const curve = new Curve(element<HTMLCanvasElement>("curve"));
const pause = element<HTMLButtonElement>("pause");
let ready = false;
let paused = false;
/** The newest question of each kind; answers to older ones are not shown. */
const asked = { search: 0, describe: 0 };
let questions = 0;
let step = 0;

function search(): void {
  const words = element<HTMLInputElement>("words").value.trim();
  if (!ready || words === "") return;
  asked.search = ++questions;
  tell({ kind: "search", id: asked.search, words });
}

function describe(): void {
  if (!ready) return;
  asked.describe = ++questions;
  tell({ kind: "describe", id: asked.describe, image: drawing.image() });
}

const drawing = new Drawing(element<HTMLCanvasElement>("draw"), element("pad"), describe);

function show({ id, found }: { id: number; found: Found[] }): void {
  const items = found.map(({ index, score }) => {
    const item = document.createElement("li");
    const { emoji: sign, caption } = emoji[index]!;
    const drawing = document.createElement("span");
    drawing.className = "emoji";
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", caption);
    drawing.title = `${sign} ${caption}`;
    const [column, row] = [index % COLUMNS, Math.floor(index / COLUMNS)];
    drawing.style.backgroundPosition = `${-column * SIZE}px ${-row * SIZE}px`;
    item.append(drawing);
    if (id === asked.describe) item.append(` ${caption.split(",")[0]} (${score.toFixed(2)})`);
    return item;
  });
  if (id === asked.search) element("hits").replaceChildren(...items);
  else if (id === asked.describe) element("captions").replaceChildren(...items.slice(0, 5));
}

worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
  if (data.kind === "ready") {
    ready = true;
    pause.disabled = false;
    element("device").textContent = data.device === "webgpu" ? "on the GPU (WebGPU)" : "on the CPU (WebAssembly)";
    document.body.dataset.device = data.device;
    search();
  } else if (data.kind === "compiling") {
    if (step === 0) element("figures").textContent = `compiling: ${data.ready} of ${data.total} kernels`;
  } else if (data.kind === "progress") {
    step = data.step;
    document.body.dataset.step = String(step);
    curve.add(data.loss);
    element<HTMLProgressElement>("progress").value = step / data.steps;
    element("figures").textContent =
      `step ${step} of ${data.steps}, loss ${data.loss.toFixed(2)}, ${Math.round(data.imagesPerSecond)} images/s`;
    if (step % 50 === 0) search();
  } else if (data.kind === "done") {
    pause.disabled = true;
    pause.textContent = "Done";
    search();
  } else if (data.kind === "answer") show(data);
  else element("problem").textContent = data.message;
});
worker.addEventListener("error", (event) => {
  element("problem").textContent = event.message;
});

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume" : "Pause";
  tell({ kind: paused ? "pause" : "resume" });
});
element("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
element("clear").addEventListener("click", () => drawing.clear());
const color = element<HTMLInputElement>("color");
drawing.color = color.value;
color.addEventListener("input", () => {
  drawing.color = color.value;
});
element<HTMLInputElement>("file").addEventListener("change", ({ target }) => {
  const [file] = (target as HTMLInputElement).files ?? [];
  if (file) void drawing.show(file);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => curve.draw());

tell({
  kind: "start",
  sheet,
  words: new URL("emoji.json", document.baseURI).href,
  device: (settings.get("device") ?? "best") as "webgpu" | "wasm" | "best",
  steps: Number(settings.get("steps") ?? 1500),
});
