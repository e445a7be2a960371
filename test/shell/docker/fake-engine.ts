/** An engine that answers from tables; what a test doesn't set is refused. */
import { ApiError, type EngineApi } from "../../../src/engine/api.ts";
import type { Proc } from "../../../src/scheduler/process.ts";

type Answers = Partial<EngineApi>;

/** An engine with the given methods; any other call fails the test. */
export function fakeEngine(answers: Answers): EngineApi {
  return new Proxy(answers as EngineApi, {
    get(target, name) {
      if (Reflect.has(target, name)) return Reflect.get(target, name);
      if (name === "imagePull" || name === "taskList" || name === "distributionInspect") return undefined;
      throw new Error(`unexpected call of EngineApi.${String(name)}`);
    },
  });
}

/** A request that gives a value. */
// biome-ignore lint/correctness/useYield: answers at once
export function* give<T>(value: T): Proc<T> {
  return value;
}

/** A request that is refused. */
// biome-ignore lint/correctness/useYield: refuses at once
export function* refuse(status: number, message: string): Proc<never> {
  throw new ApiError(status, message);
}
