import { type DeviceName, useDevice } from "@vlm/core";

/** Tests run on the reference device; `VLM_DEVICE` chooses another. */
export const testDevice = (): Promise<unknown> => useDevice((process.env.VLM_DEVICE as DeviceName | undefined) ?? "js");
