import type { Suite } from "../report/report.ts";
import { browser } from "./browser.ts";
import { counts } from "./counts.ts";
import { curves } from "./curves.ts";
import { gpu } from "./gpu.ts";
import { host } from "./host.ts";
import { image } from "./image.ts";
import { kernels } from "./kernels.ts";
import { loading } from "./loading.ts";
import { memory } from "./memory.ts";
import { models } from "./models.ts";
import { size } from "./size.ts";
import { startup } from "./startup.ts";
import { tokenizers } from "./tokenizers.ts";

/** In the order of the page. */
export const suites: Record<string, Suite> = {
  models,
  kernels,
  browser,
  curves,
  startup,
  loading,
  memory,
  tokenizers,
  image,
  size,
  counts,
  host,
  gpu,
};
