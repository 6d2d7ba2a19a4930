import type { Image } from "@vlm/image";

/** A field to draw on with pointer or arrow keys, or to drop a picture on; tells when a picture is there. */
export class Drawing {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #changed: () => void;
  #pen = { x: 96, y: 96 };
  color = "#000000";

  constructor(canvas: HTMLCanvasElement, focus: HTMLElement, changed: () => void) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true })!;
    this.#changed = changed;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#pen = this.#at(event);
      this.#to(this.#pen);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons > 0) this.#to(this.#at(event));
    });
    canvas.addEventListener("pointerup", () => changed());
    focus.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("dragover", (event) => {
      event.preventDefault();
      canvas.classList.add("over");
    });
    canvas.addEventListener("dragleave", () => canvas.classList.remove("over"));
    canvas.addEventListener("drop", (event) => {
      event.preventDefault();
      canvas.classList.remove("over");
      const [file] = event.dataTransfer?.files ?? [];
      if (file) void this.show(file);
    });
  }

  clear(): void {
    this.#context.fillStyle = "#ffffff";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#pen = { x: 96, y: 96 };
  }

  /** Shows a picture from a file, as large as fits. */
  async show(file: Blob): Promise<void> {
    const picture = await createImageBitmap(file);
    const { width, height } = this.#canvas;
    const scale = Math.min(width / picture.width, height / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    this.clear();
    this.#context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    this.#changed();
  }

  image(): Image {
    const { width, height } = this.#canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    return { width, height, channels: 4, data };
  }

  #at(event: PointerEvent): { x: number; y: number } {
    const box = this.#canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.#canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.#canvas.height,
    };
  }

  #to(next: { x: number; y: number }): void {
    const context = this.#context;
    context.strokeStyle = this.color;
    context.lineWidth = 14;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(this.#pen.x, this.#pen.y);
    context.lineTo(next.x, next.y);
    context.stroke();
    this.#pen = next;
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-8, 0],
      ArrowRight: [8, 0],
      ArrowUp: [0, -8],
      ArrowDown: [0, 8],
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const inside = (value: number): number => Math.min(this.#canvas.width, Math.max(0, value));
    this.#to({ x: inside(this.#pen.x + step[0]), y: inside(this.#pen.y + step[1]) });
    this.#changed();
  }
}
