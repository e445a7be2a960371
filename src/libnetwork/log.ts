/** What libnetwork writes to the daemon's log; the engine decides where it goes (`journalctl -u docker`, a trace, nowhere). */

/** Severity of a log line. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** One line of the daemon's log, as logrus would get it. */
export type DaemonLog = (level: LogLevel, message: string) => void;
