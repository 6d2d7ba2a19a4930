/** One result of a check: a type error count, one package's manifest, one snippet of a README. */
export type Outcome = { name: string; ok: boolean; detail?: string };

/** A module of tools/checks exports one of these as `check`; the folder is read, so a new file is a new check. */
export type Check = {
  name: string;
  /** "early" checks are quick and run before the tests; "late" ones after. */
  stage: "early" | "late";
  /** The files on which the result depends: with all of them unchanged a success is not computed again. */
  inputs(file: string): boolean;
  run(): Promise<Outcome[]>;
};

export const passed = (name: string): Outcome => ({ name, ok: true });
export const failed = (name: string, detail: string): Outcome => ({ name, ok: false, detail });

/** Source and manifests of the packages: the input of most checks. */
export const isPackageSource = (file: string): boolean => /^packages\/[^/]+\/(src\/|package\.json$)/.test(file);
