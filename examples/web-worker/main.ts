/** The page: everything heavy happens in `worker.ts`, so that scrolling and typing never wait. */
import type { Answer, Question } from "./worker.ts";

const words = document.querySelector<HTMLInputElement>("#words")!;
const files = document.querySelector<HTMLInputElement>("#files")!;
const answer = document.querySelector<HTMLOutputElement>("#answer")!;

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
let asked = 0;

function ask(): void {
  const question: Question = {
    id: ++asked,
    model: new URL("model/", document.baseURI).href,
    words: words.value,
    files: [...(files.files ?? [])],
  };
  if (question.files.length === 0 || question.words.trim() === "") return;
  answer.value = "…";
  worker.postMessage(question);
}

worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  // An answer to an earlier question has been overtaken.
  if (data.id !== asked) return;
  answer.value =
    "problem" in data ? data.problem : data.best.map(({ name, score }) => `${name} (${score.toFixed(2)})`).join(", ");
});
words.addEventListener("change", ask);
files.addEventListener("change", ask);
