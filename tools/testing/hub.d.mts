export type Hub = { url: string; requests: string[]; close(): Promise<void> };
/** A model hub on 127.0.0.1: set HF_ENDPOINT to its url. `repositories` maps hub ids (`owner/name`) to folders. */
export function startHub(repositories: Record<string, string[]>): Promise<Hub>;
