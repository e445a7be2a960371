/** Terminals, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { Emulation } from "../emulation.ts";
import type { TerminalsApi } from "./protocol.ts";

/** The shell that a container's image has; `sh` where it has none: docker says so then. */
async function shellOf({ session }: Emulation, host: string, container: string): Promise<string> {
  const [found] = await session.inspect([host], { kind: "shell", container });
  return found ?? "sh";
}

/** @param context holds the emulation */
export function terminalsApi(context: SessionContext): TerminalsApi {
  return {
    async openTerminal(host, container, another) {
      const { emulation } = context;
      const shell = container === undefined ? "" : await shellOf(emulation, host, container);
      const name = emulation.terminals.open(host, container, shell, another);
      emulation.typed();
      return name;
    },
    closeTerminal(name) {
      context.emulation.terminals.close(name);
      context.emulation.typed();
    },
    type(name, line) {
      context.emulation.terminals.input(name, { line });
      context.emulation.typed();
    },
    key(name, key) {
      context.emulation.terminals.input(name, { key });
      context.emulation.typed();
    },
    async complete(name, line) {
      const { session, terminals } = context.emulation;
      const at = terminals.completes(name);
      if (at === undefined) return { candidates: [], word: "" };
      const { host, container, cwd } = at;
      const [offered] = await session.inspect([host], { kind: "completion", line, container, cwd });
      return offered ?? { candidates: [], word: "" };
    },
    async places() {
      const { session } = context.emulation;
      const hosts = session.plan.hosts.map(({ name }) => name);
      const all = await session.inspect(hosts, { kind: "containers" });
      return hosts.map((host, i) => {
        const running = (all[i] ?? []).filter(({ state }) => state === "running");
        return { host, containers: running.map(({ name }) => name) };
      });
    },
  };
}
