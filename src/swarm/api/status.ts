/**
 * gRPC status codes and the error that carries one (google.golang.org/grpc/status). A message that reaches
 * a user keeps the prefix `rpc error: code = <Code> desc = `, as Docker shows it.
 */

/** The codes that swarmkit uses, with their numbers on the wire. */
export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** Names of gRPC codes. */
export type CodeName = keyof typeof Code;

const NAME_BY_NUMBER = new Map(Object.entries(Code).map(([name, number]) => [number as number, name as CodeName]));

/** The name of a code number; an unknown number from the wire counts as Unknown, as in gRPC. */
export function codeName(number: number): CodeName {
  return NAME_BY_NUMBER.get(number) ?? "Unknown";
}

/** An error of an RPC. `desc` is the bare text, `message` what Go's Error() prints. */
export class RpcError extends Error {
  override name = "RpcError";
  readonly code: CodeName;
  readonly desc: string;

  constructor(code: CodeName, desc: string) {
    super(`rpc error: code = ${code} desc = ${desc}`);
    this.code = code;
    this.desc = desc;
  }
}

/** HTTP statuses of gRPC codes (moby api/server/httpstatus, statusCodeFromGRPCError). */
const HTTP_STATUS: Partial<Record<CodeName, number>> = {
  InvalidArgument: 400,
  FailedPrecondition: 400,
  OutOfRange: 400,
  Unauthenticated: 401,
  PermissionDenied: 403,
  NotFound: 404,
  AlreadyExists: 409,
  Unimplemented: 501,
  Unavailable: 503,
};

/** The HTTP status that the Engine gives for a gRPC code. */
function httpStatusOf(code: CodeName): number {
  return HTTP_STATUS[code] ?? 500;
}

/** The error of a deadline that came, as Go's context package words it. */
export function deadlineExceeded(): RpcError {
  return new RpcError("DeadlineExceeded", "context deadline exceeded");
}

/** An error of the Engine's cluster code: a plain message with the HTTP status its class maps to (moby errdefs). */
export class SwarmError extends Error {
  override name = "SwarmError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The HTTP status of any error that leaves SwarmNode: 500 for those without a class. */
export function statusOfError(error: unknown): number {
  if (error instanceof SwarmError) return error.status;
  if (error instanceof RpcError) return httpStatusOf(error.code);
  return 500;
}

/** The text of any error; for what is shown to a user. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
