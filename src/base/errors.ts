/** The three classes of error in swarmwire, besides a dropped packet, which is no error but a counter. */

/** Bad input of a user. One message, naming the place and what was expected. */
export class UserError extends Error {
  override name = "UserError";
}

/** Whether an error is the user's. One that came from another thread has lost its class, but not its name. */
export function isUserError(error: unknown): error is Error {
  return error instanceof Error && error.name === "UserError";
}

/**
 * Bytes from a peer that are no valid message. Decoders throw it; whoever received the bytes catches it, drops
 * them and counts the drop under `reason`.
 */
export class MalformedError extends Error {
  override name = "MalformedError";
  readonly reason: string;
  /** @param reason short and fixed, fit for a counter's name */
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/** A refused kernel operation, with Linux's errno name. */
export class KernelError extends Error {
  override name = "KernelError";
  readonly code: Errno;
  /** @param operation what was asked, for the message of an error nobody handles */
  constructor(code: Errno, operation: string) {
    super(`${operation}: ${ERRNO_TEXT[code]}`);
    this.code = code;
  }
}

/** A program asks for more memory than it can have. */
export class OutOfMemory extends RangeError {
  override name = "OutOfMemory";
  constructor() {
    super("out of memory");
  }
}

/** How engines put it that a string, an array or the stack gets too big (V8, SpiderMonkey, JavaScriptCore). */
const LIMITS =
  /call stack|too much recursion|string length|array length|count value|repeat count|allocation (?:failed|size)|out of memory/i;

/** Whether what a program threw says that it used up memory or stack: a real one would have been killed for that. */
export function isExhaustion(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error instanceof RangeError || error.name === "InternalError") &&
    LIMITS.test(error.message)
  );
}

/** Errno values used at the kernel's border, with the text of strerror(3). */
export const ERRNO_TEXT = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  ESRCH: "No such process",
  EIO: "Input/output error",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  ENODEV: "No such device",
  EINVAL: "Invalid argument",
  EMLINK: "Too many links",
  EPIPE: "Broken pipe",
  ERANGE: "Numerical result out of range",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
  EXFULL: "Exchange full",
  EREMOTE: "Object is remote",
  EPROTO: "Protocol error",
  ENONET: "Machine is not on the network",
  EDESTADDRREQ: "Destination address required",
  EMSGSIZE: "Message too long",
  ENOPROTOOPT: "Protocol not available",
  EPROTONOSUPPORT: "Protocol not supported",
  EOPNOTSUPP: "Operation not supported",
  EADDRINUSE: "Address in use",
  EADDRNOTAVAIL: "Address not available",
  ENETDOWN: "Network is down",
  ENETUNREACH: "Network unreachable",
  ECONNABORTED: "Connection aborted",
  ECONNRESET: "Connection reset by peer",
  ENOBUFS: "No buffer space available",
  EISCONN: "Socket is connected",
  ENOTCONN: "Socket not connected",
  ETIMEDOUT: "Operation timed out",
  ECONNREFUSED: "Connection refused",
  EHOSTDOWN: "Host is down",
  EHOSTUNREACH: "Host is unreachable",
  EALREADY: "Operation already in progress",
  EINPROGRESS: "Operation in progress",
} as const;

/** Names of the errors of system calls that the emulator can give. */
export type Errno = keyof typeof ERRNO_TEXT;

/** Linux's numbers (asm-generic/errno.h) of the errors above. */
export const ERRNO_NUMBER: Record<Errno, number> = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMLINK: 31,
  EPIPE: 32,
  ERANGE: 34,
  ENOSPC: 28,
  EROFS: 30,
  EXFULL: 54,
  EREMOTE: 66,
  EPROTO: 71,
  ENONET: 64,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

const ERRNO_BY_NUMBER = new Map(Object.entries(ERRNO_NUMBER).map(([name, number]) => [number, name as Errno]));

/** The name of an errno number; an unknown number is an impossible state. */
export function errnoName(number: number): Errno {
  const name = ERRNO_BY_NUMBER.get(number);
  assert(name !== undefined, "unknown errno", number);
  return name;
}

/** An impossible state: throws with the values that show it. */
export function assert(condition: boolean, what: string, ...values: readonly unknown[]): asserts condition {
  if (!condition)
    throw new Error(`assertion failed: ${what}${values.length > 0 ? ` (${values.map(String).join(", ")})` : ""}`);
}
