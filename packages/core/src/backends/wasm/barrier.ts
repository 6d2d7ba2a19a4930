import type { ModuleBuilder } from "./assembler.ts";
import { atomic, I32, op } from "./opcodes.ts";

/** Words that threads share, at fixed addresses, one cache line each. */
export const CONTROL = {
  /** Number of barriers passed. */
  generation: 64,
  /** Threads that have reached the barrier. */
  arrived: 128,
  /** Threads asleep at the barrier. */
  sleepers: 192,
  /** Not 0 once a thread failed: nobody waits any more. */
  failed: 256,
  /** Changes whenever workers may have something to do; they sleep on it. */
  bell: 320,
  /** Workers asleep on the bell. */
  resting: 384,
  /** Number of runs started. */
  launches: 448,
  /** Plan number of the run. */
  job: 512,
  /** Number of messages posted to each worker. */
  mail: 576,
  /** Not 0 where thread 0 is a page's main thread, which must not sleep. */
  mainAwake: 640,
  /** How many messages each thread has handled; a cache line for each. */
  received: 1024,
} as const;

export const BARRIER = { parameters: [I32, I32], results: [] };

/** About 50 µs of looking at a word: longer than that and the processor is better given to others. */
export const SPINS = 20_000;

/** `barrier(thread, threads)`: returns when all threads have called it. Traps when another thread has failed. */
export function defineBarrier(module: ModuleBuilder): void {
  module.define(
    BARRIER.parameters,
    [],
    (code) => {
      const [thread, threads] = [0, 1];
      const [generation, spins] = [code.local(), code.local()];
      const load = (address: number): void => {
        code.i32(address).memory(atomic.load);
      };
      code
        .get(threads)
        .i32(2)
        .op(op.ltS)
        .if(() => code.op(op.return));
      load(CONTROL.generation);
      code.set(generation);
      code.i32(CONTROL.arrived).i32(1).memory(atomic.add).i32(1).op(op.add).get(threads).op(op.eq);
      code.if(() => {
        code.i32(CONTROL.arrived).i32(0).memory(atomic.store);
        code.i32(CONTROL.generation).get(generation).i32(1).op(op.add).memory(atomic.store);
        load(CONTROL.sleepers);
        code.if(() => code.i32(CONTROL.generation).i32(-1).memory(atomic.notify).op(op.drop));
        code.op(op.return);
      });
      const waiting = (): void => {
        load(CONTROL.generation);
        code.get(generation).op(op.eq);
      };
      waiting();
      code.if(() => {
        code.loop(() => {
          code
            .get(spins)
            .i32(1)
            .op(op.add)
            .tee(spins)
            .i32(SPINS)
            .op(op.geS)
            .if(() => {
              load(CONTROL.failed);
              code.if(() => code.op(op.unreachable));
              code.get(thread);
              load(CONTROL.mainAwake);
              code.op(op.eqz, op.or).if(() => {
                code.i32(CONTROL.sleepers).i32(1).memory(atomic.add).op(op.drop);
                code.i32(CONTROL.generation).get(generation).i64(100_000_000).memory(atomic.wait).op(op.drop);
                code.i32(CONTROL.sleepers).i32(-1).memory(atomic.add).op(op.drop);
              });
            });
          waiting();
        });
      });
    },
    "barrier",
  );
}
