/** Texts of kernel errors as Go's syscall package words them, for messages a user of Docker sees. */
import { ERRNO_TEXT, type KernelError } from "../base/errors.ts";

/** Where Go's table (syscall/zerrors_linux_amd64.go, glibc's wording) differs from musl's text in lower case. */
const GO_TEXT: Partial<Record<KernelError["code"], string>> = {
  EIO: "input/output error",
  EPERM: "operation not permitted",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  ENETUNREACH: "network is unreachable",
  ECONNABORTED: "software caused connection abort",
  EISCONN: "transport endpoint is already connected",
  ENOTCONN: "transport endpoint is not connected",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  EALREADY: "operation already in progress",
  EINPROGRESS: "operation now in progress",
};

/** The text of a syscall.Errno, e.g. `file exists`. */
export function goErrorText(error: KernelError): string {
  return GO_TEXT[error.code] ?? ERRNO_TEXT[error.code].toLowerCase();
}
