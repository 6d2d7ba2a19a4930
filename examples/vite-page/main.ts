/** A CLIP in a page: copy this folder into a Vite project and put a model into `public/model`. */
import { CLIP } from "@vlm/clip";

const labels = document.querySelector<HTMLInputElement>("#labels")!;
const file = document.querySelector<HTMLInputElement>("#file")!;
const answer = document.querySelector<HTMLOutputElement>("#answer")!;

// WebGPU where the browser has it, else WebAssembly. The files stay in the browser's cache.
const loading = CLIP.load(new URL("model/", document.baseURI).href, {
  onProgress: ({ loaded, total }) => {
    answer.value = `Loading the model… ${total ? Math.round((100 * loaded) / total) : 0} %`;
  },
});

async function classify(): Promise<void> {
  try {
    const clip = await loading;
    const [picture] = file.files ?? [];
    if (picture === undefined) {
      answer.value = "Ready: choose a picture.";
      return;
    }
    const choices = labels.value.split(",").map((label) => label.trim());
    const ranking = await clip.classify(
      picture,
      choices.filter((label) => label !== ""),
    );
    answer.value = ranking.map(({ label, probability }) => `${label}: ${(probability * 100).toFixed(1)} %`).join(", ");
  } catch (error) {
    answer.value = (error as Error).message;
  }
}

file.addEventListener("change", classify);
labels.addEventListener("change", classify);
void classify();
