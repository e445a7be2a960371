/** What libnetwork and the swarm refuse, as the Engine's API answers it. */
import { KernelError, UserError } from "../base/errors.ts";
import type { Proc } from "../scheduler/process.ts";
import { statusOfError } from "../swarm/api/status.ts";
import { ApiError } from "./api.ts";

/** @param status of refusals that have no class of their own */
export function toApiError(error: unknown, status = 500): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UserError) return new ApiError(status, error.message);
  throw error;
}

/** Whether an error is a fault of this program and not something that was refused. */
export function isDefect(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  if (error instanceof ApiError || error instanceof UserError || error instanceof KernelError) return false;
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error.name === "RuntimeError" || // a trap of the kernel's module
    /^(assertion failed|abort:)/.test(error.message)
  );
}

/** Runs a request; what it refuses becomes an ApiError with the HTTP status of its class. Defects pass unchanged. */
export function* refusable<T>(request: Proc<T>): Proc<T> {
  try {
    return yield* request;
  } catch (error) {
    if (error instanceof ApiError || isDefect(error)) throw error;
    if (error instanceof UserError) throw toApiError(error);
    throw new ApiError(statusOfError(error), (error as Error).message);
  }
}
