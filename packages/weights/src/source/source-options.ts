import type { HttpOptions } from "../net/http-options.ts";
import type { Store } from "../store/store.ts";

/** Bytes so far: of the file under way, and of everything announced up to now. */
export type Progress = {
  readonly file: string;
  readonly loaded: number;
  readonly total: number | undefined;
};

/** How a model's files are found and fetched. */
export type SourceOptions = HttpOptions & {
  /** Where downloads are kept: a folder (Node), a store, or false to keep nothing and read by range. */
  cache?: string | Store | false | undefined;
  /** Fail with `StorageError` where a file cannot be kept, instead of holding it in memory; default false. */
  persist?: boolean | undefined;
  /** Use only what is cached; default `HF_HUB_OFFLINE`. */
  offline?: boolean | undefined;
  /** Branch, tag or commit on the Hub; default "main". */
  revision?: string | undefined;
  /** Access token for the Hub; default `HF_TOKEN`, or the file that `hf auth login` wrote. False sends none. */
  token?: string | false | undefined;
  /** Address of the Hub; default `HF_ENDPOINT` or https://huggingface.co. */
  endpoint?: string | undefined;
  /** Folder inside the model's files. */
  subfolder?: string | undefined;
  /** Called while files are fetched. */
  onProgress?: ((progress: Progress) => void) | undefined;
};
