/** The page's entry. */
import "@xterm/xterm/css/xterm.css";
import "./style.css";
import { wrap } from "comlink";
import { App } from "./page/app.ts";
import { element, showProblem } from "./page/page.ts";
import { missing } from "./platform.ts";
import type { SessionApi } from "./session/protocol.ts";

async function start(): Promise<void> {
  const problem = missing();
  if (problem !== undefined) {
    element("status").textContent = "The emulation can't run here.";
    showProblem(problem);
    return;
  }
  const worker = new Worker(new URL("./session/worker.ts", import.meta.url), { type: "module", name: "session" });
  worker.addEventListener("error", (event) =>
    showProblem(`The emulation ended: ${event.message || "its worker died"}`),
  );
  try {
    await new App(wrap<SessionApi>(worker)).start();
  } catch (error) {
    showProblem(error instanceof Error ? error.message : String(error));
  }
}

void start();
