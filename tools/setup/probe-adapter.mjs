// Exit status 0 when Dawn finds an adapter and makes a device of it.
import { create } from "webgpu";

const adapter = await create([]).requestAdapter();
const device = await adapter?.requestDevice();
process.exit(device ? 0 : 1);
