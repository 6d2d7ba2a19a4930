/** The loss so far as a line, smoothed over twenty steps, in the page's own colours. */
export class Curve {
  readonly #canvas: HTMLCanvasElement;
  readonly #losses: number[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  add(loss: number): void {
    this.#losses.push(loss);
    this.draw();
  }

  draw(): void {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d")!;
    context.clearRect(0, 0, width, height);
    const smooth = this.#losses.map((_, i) => {
      const last = this.#losses.slice(Math.max(0, i - 19), i + 1);
      return last.reduce((sum, loss) => sum + loss, 0) / last.length;
    });
    const top = Math.max(...smooth, 0.1);
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    context.fillStyle = context.strokeStyle;
    context.lineWidth = 2;
    context.beginPath();
    for (const [i, loss] of smooth.entries()) {
      context.lineTo(8 + (i / Math.max(1, smooth.length - 1)) * (width - 16), 8 + (1 - loss / top) * (height - 16));
    }
    context.stroke();
    context.font = "13px system-ui, sans-serif";
    context.fillText(`loss ${top.toFixed(2)}`, 12, 20);
    context.fillText("0", 12, height - 10);
  }
}
