/** The session worker's entry: the emulation runs here, so that the page never waits for it. */
import { expose, transfer } from "comlink";
import { UserError } from "../../src/base/errors.ts";
import { dissect } from "./dissect.ts";
import { Emulation } from "./emulation.ts";
import { galleryLab, galleryLabs, stepText } from "./labs.ts";
import type { OpenLab, PacketRow, SessionApi } from "./protocol.ts";
import type { TraceFiles } from "./recording.ts";

let emulation: Emulation | undefined;

function opened(): Emulation {
  if (emulation === undefined) throw new UserError("no lab is open");
  return emulation;
}

function row(index: number): PacketRow | undefined {
  const { recording } = opened();
  const frame = recording.frames[index];
  if (frame === undefined) return undefined;
  const { time, length, point, data } = frame;
  return { index, time, length, ...dissect(data), point: recording.pointName(point) };
}

const api: SessionApi = {
  labs: galleryLabs,
  async open(name, seed, tell): Promise<OpenLab> {
    const plan = galleryLab(name);
    const last = emulation;
    emulation = undefined;
    await last?.close();
    emulation = await Emulation.start(plan, seed ?? plan.seed, tell);
    const hosts = plan.hosts.map((host) => host.name);
    return { name, description: plan.description, seed: emulation.seed, hosts, steps: plan.steps.map(stepText) };
  },
  run: () => opened().run(),
  step: () => opened().step(),
  pause: () => opened().pause(),
  type: (host, line) => opened().type(host, line),
  key: (host, key) => opened().key(host, key),
  packets(from, count) {
    const rows: PacketRow[] = [];
    for (let index = from; index < from + count; index++) {
      const one = row(index);
      if (one !== undefined) rows.push(one);
    }
    return rows;
  },
  frame: (index) => opened().recording.frames[index]?.data.slice(),
  trace(): TraceFiles {
    const files = opened().files();
    return transfer(files, [files.trace.buffer]);
  },
};

expose(api);
