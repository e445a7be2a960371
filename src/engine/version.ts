/** What the engine says it is. */

/** The version of Docker that is emulated. */
export const ENGINE_VERSION = "20.10.24";
/** The newest API version of that engine. */
export const API_VERSION = "1.41";
/** The oldest one it still answers. */
export const MIN_API_VERSION = "1.12";
/** What `uname -r` says. */
export const KERNEL_VERSION = "6.1.0-56-amd64";
/** Logging drivers that are built in on Linux. */
export const LOG_PLUGINS: readonly string[] = [
  "awslogs",
  "fluentd",
  "gcplogs",
  "gelf",
  "journald",
  "json-file",
  "local",
  "logentries",
  "splunk",
  "syslog",
];
