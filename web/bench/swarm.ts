/**
 * A page with nothing but the drawing, of a swarm as large as its address says (`?hosts=1000&containers=10&leaves=0`),
 * which tells how long frames take while one pans and zooms.
 */
import { Hub, type Page } from "../page/page.ts";
import { SwarmView } from "../page/swarm/view.ts";
import { LargeSwarm } from "./large-swarm.ts";

/** Times of frames, ms: from one to the next, and the page's own part of it. */
export interface FrameTimes {
  readonly intervals: readonly number[];
  readonly busy: readonly number[];
}

const asked = new URLSearchParams(location.search);
const size = (name: string, usual: number): number => Number(asked.get(name) ?? usual);
const swarm = new LargeSwarm({
  hosts: size("hosts", 1000),
  containers: size("containers", 10),
  overlays: size("overlays", 6),
  leaves: size("leaves", 0),
});
let look = 0;
let next = 0;
const session = {
  sceneTopology: async () => swarm.topology,
  scene: async () => {
    const update = swarm.update(look++, next);
    next += 64;
    document.body.dataset["told"] = String(Math.min(next, swarm.topology.hosts.length));
    return update;
  },
};
const page = {
  session,
  hub: new Hub(),
  attempt: (action: Promise<unknown>) => void action,
} as unknown as Page;
const view = new SwarmView(page);
view.mount(document.getElementById("place") as HTMLElement);
view.shown(true);
page.hub.tell("lab", undefined as never);
page.hub.tell("status", { phase: "running" } as never);

/** Pans and zooms for some seconds, as somebody does who looks for something: a step each frame. */
async function move(seconds: number): Promise<FrameTimes> {
  const canvas = document.querySelector("canvas") as HTMLCanvasElement;
  const { width, height } = canvas.getBoundingClientRect();
  const [intervals, busy]: [number[], number[]] = [[], []];
  const begin = performance.now();
  let last = begin;
  while (last - begin < 1000 * seconds) {
    const part = (last - begin) / (1000 * seconds);
    const deltaY = 60 * -Math.sin(part * 4 * Math.PI);
    const at = { clientX: width * (0.3 + 0.4 * part), clientY: height / 2 };
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, bubbles: true, cancelable: true, ...at }));
    const key = part % 0.5 < 0.25 ? "ArrowRight" : "ArrowDown";
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    const drawn = performance.now();
    intervals.push(drawn - last);
    busy.push(drawn - now);
    last = drawn;
  }
  return { intervals: intervals.slice(1), busy: busy.slice(1) };
}

Object.assign(window, { move });
