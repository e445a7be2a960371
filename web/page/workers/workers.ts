/** How many threads the hosts are shared out to; where the page may have one only, it says what it lacks. */
import "./workers.css";
import { ISOLATION, mostWorkers } from "../../platform.ts";
import { element, type Page } from "../page.ts";

const COUNTS = [1, 2, 4, 8];

/** Adds the choice to a bar. */
export function addWorkers(page: Page, place: HTMLElement): void {
  const most = mostWorkers();
  const select = document.createElement("select");
  select.id = "workers";
  for (const count of COUNTS.filter((one) => one === 1 || one <= most))
    select.append(new Option(String(count), String(count)));
  select.addEventListener("change", () => page.attempt(choose(page, Number(select.value))));
  const label = document.createElement("label");
  label.append("Workers ", select);
  place.append(label);
  if (globalThis.crossOriginIsolated) return;
  place.append(lack());
}

/** The lab begins again: what happens is the same, only its hosts are elsewhere. */
async function choose(page: Page, count: number): Promise<void> {
  await page.session.workers(count);
  await page.restart(element<HTMLInputElement>("seed").value);
}

function lack(): HTMLElement {
  const details = document.createElement("details");
  const [summary, text] = [document.createElement("summary"), document.createElement("p")];
  details.className = "lack";
  summary.textContent = "One worker only";
  text.textContent =
    `The server that this page came from doesn't isolate it from other origins, so its workers can't share memory: all ` +
    `hosts run in one. Everything works, large labs more slowly. More workers need the headers ${ISOLATION}, which ` +
    `“swarmwire view” sends.`;
  details.append(summary, text);
  return details;
}
