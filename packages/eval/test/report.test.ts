import { type Report, reportHtml, reportJson } from "@vlm/eval";
import { createImage } from "@vlm/image";
import { expect, it } from "vitest";

const image = createImage(
  Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => i * 5),
  { width: 4, height: 4, channels: 3 },
);
const report: Report = {
  title: 'A <script>alert("x")</script> model',
  subtitle: "on 3 pictures",
  details: { seed: 1, nothing: Number.NaN },
  sections: [
    { kind: "text", title: "What", text: "Tom & Jerry" },
    {
      kind: "table",
      title: "Scores",
      columns: ["what", "value", "n"],
      rows: [["accuracy", { value: 0.5, low: 0.25, high: 0.75, count: 10 }, 10]],
    },
    {
      kind: "chart",
      title: "Loss",
      x: "step",
      y: "loss",
      lines: [
        {
          name: "train",
          points: [
            [0, 4],
            [10, 2],
            [20, Number.NaN],
          ],
        },
      ],
    },
    {
      kind: "confusion",
      title: "Confusion",
      classes: ["cat", "dog's"],
      counts: [
        [3, 1],
        [0, 4],
      ],
    },
    {
      kind: "pictures",
      title: "Found",
      rows: [{ heading: "a cat", pictures: [{ image, caption: 'a "cat"', good: true }] }],
    },
  ],
};

it("makes one page that fetches and runs nothing and escapes what it is given", async () => {
  const html = await reportHtml(report);
  expect(html).not.toMatch(/<script|https?:|src="(?!data:image\/png;base64,)/);
  expect(html).toContain("A &#60;script&#62;");
  expect(html).toContain("Tom &#38; Jerry");
  expect(html).toContain("50.0 % <small>[25.0 %, 75.0 %]</small>");
  expect(html).toContain("dog&#39;s");
  expect(html).toContain('alt="a &#34;cat&#34;"');
  expect(html).toMatch(/<polyline class="line line0" points="[\d.]+,[\d.]+ [\d.]+,[\d.]+"/); // NaN is left out
  const png = /base64,([^"]+)"/.exec(html)![1]!;
  expect([...Buffer.from(png, "base64").subarray(1, 4)]).toEqual([...Buffer.from("PNG")]);
});

it("keeps the figures in JSON, without pixels", () => {
  const json = JSON.parse(reportJson(report));
  expect(json.details).toEqual({ seed: 1, nothing: null });
  expect(json.sections[1].rows[0][1]).toEqual({ value: 0.5, low: 0.25, high: 0.75, count: 10 });
  expect(json.sections[4].rows[0].pictures).toEqual([{ caption: 'a "cat"', good: true }]);
});

it("draws charts of nothing, of one point and of equal values", async () => {
  const chart = (points: [number, number][]): Report => ({
    title: "t",
    sections: [{ kind: "chart", title: "c", x: "x", y: "y", lines: [{ name: "l", points }] }],
  });
  expect(await reportHtml(chart([]))).toContain("nothing to draw");
  expect(await reportHtml(chart([[1, 2]]))).not.toContain("NaN");
  expect(
    await reportHtml(
      chart([
        [1, 2],
        [2, 2],
      ]),
    ),
  ).not.toContain("NaN");
});

it("refuses a confusion matrix of another size than its classes", async () => {
  const wrong: Report = {
    title: "t",
    sections: [{ kind: "confusion", title: "c", classes: ["a", "b"], counts: [[1]] }],
  };
  await expect(reportHtml(wrong)).rejects.toThrow(/REPORT_CONFUSION/);
});
