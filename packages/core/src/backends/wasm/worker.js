/**
 * A thread of the wasm device. It imports nothing, so that it works from any folder, bundled or not, and under
 * `worker-src 'self'`. It runs whole plans beside the main thread; between plans it watches a word for about 50 µs and
 * then sleeps on it. Messages (new plans) are read when the `mail` word says that some are waiting.
 * Word numbers are those of CONTROL in barrier.ts, divided by 4.
 */
const FAILED = 64;
const BELL = 80;
const RESTING = 96;
const LAUNCHES = 112;
const JOB = 128;
const MAIL = 144;
const GENERATION = 16;
const RECEIVED = 256;
const SPINS = 20000;

const port = globalThis.process?.getBuiltinModule?.("node:worker_threads").parentPort ?? globalThis;
const plans = new Map();
let env;
let words;
let thread;
let threads;
let received = 0;
let launched = 0;

function receive(message) {
  received++;
  try {
    if (message.library) {
      ({ thread, threads } = message);
      words = new Int32Array(message.memory.buffer);
      const { exports } = new WebAssembly.Instance(message.library, { env: { memory: message.memory } });
      env = { memory: message.memory, ...exports };
    } else if (message.module) {
      plans.set(message.id, new WebAssembly.Instance(message.module, { env }).exports.run);
    } else plans.delete(message.id);
    Atomics.store(words, RECEIVED + 16 * thread, received);
    work();
  } catch (error) {
    if (words) {
      Atomics.store(words, FAILED, 1);
      Atomics.notify(words, GENERATION);
    }
    port.postMessage({ error: String(error?.stack ?? error) });
  }
}

/** Runs plans until a message is waiting. */
function work() {
  for (;;) {
    const bell = Atomics.load(words, BELL);
    if (Atomics.load(words, LAUNCHES) !== launched) {
      launched = (launched + 1) | 0;
      plans.get(Atomics.load(words, JOB))(thread, threads);
      continue;
    }
    if (Atomics.load(words, MAIL) !== received) return;
    let spins = 0;
    while (spins < SPINS && Atomics.load(words, BELL) === bell) spins++;
    if (spins < SPINS) continue;
    Atomics.add(words, RESTING, 1);
    Atomics.wait(words, BELL, bell);
    Atomics.sub(words, RESTING, 1);
  }
}

if (port === globalThis) globalThis.onmessage = (event) => receive(event.data);
else port.on("message", receive);
