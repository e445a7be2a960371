/** Threads, between the page and the session's worker. */

/** What the page asks about threads. */
export interface WorkersApi {
  /** Threads that the hosts of each lab that is opened from now on are shared out to. What happens is the same with any number. */
  workers(count: number): void;
}
