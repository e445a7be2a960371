/** Terminals, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { Emulation } from "../emulation.ts";
import type { TerminalsApi } from "./protocol.ts";

/** The shell that a container's image has; `sh` where it has none: docker says so then. */
async function shellOf(emulation: Emulation, host: string, container: string): Promise<string> {
  const [found] = await emulation.inspect([host], { kind: "shell", container });
  return found ?? "sh";
}

/** @param context holds the emulation */
export function terminalsApi(context: SessionContext): TerminalsApi {
  return {
    async openTerminal(host, container, another) {
      const { emulation } = context;
      const program = container === undefined ? "" : await shellOf(emulation, host, container);
      const { entry, begins } = emulation.terminals.open(host, container, program, another);
      emulation.report();
      if (begins) emulation.act({ kind: "begin", terminal: entry });
      return entry.name;
    },
    closeTerminal(name) {
      const { emulation } = context;
      const terminal = emulation.terminals.hide(name);
      if (terminal !== undefined) emulation.act({ kind: "close", terminal });
    },
    type(name, line, shown) {
      const { emulation } = context;
      const terminal = emulation.terminals.entry(name);
      if (terminal !== undefined) emulation.act({ kind: "line", line, shown, terminal });
    },
    key(name, key) {
      const { emulation } = context;
      const terminal = emulation.terminals.entry(name);
      if (terminal !== undefined) emulation.act({ kind: "key", key, terminal });
    },
    async complete(name, line) {
      const { emulation } = context;
      const at = emulation.terminals.completes(name);
      if (at === undefined) return { candidates: [], word: "" };
      const { host, container, cwd } = at;
      const [offered] = await emulation.inspect([host], { kind: "completion", line, container, cwd });
      return offered ?? { candidates: [], word: "" };
    },
    async places() {
      const { emulation } = context;
      const hosts = emulation.plan.hosts.map(({ name }) => name);
      const all = await emulation.inspect(hosts, { kind: "containers" });
      return hosts.map((host, i) => {
        const running = (all[i] ?? []).filter(({ state }) => state === "running");
        return { host, containers: running.map(({ name }) => name) };
      });
    },
  };
}
