/** The dissectors' worker: Wireshark's own code, which is fetched when it is asked for. */
import { expose } from "comlink";
import { fetchDissectors } from "./fetch.ts";
import type { DissectorsApi } from "./protocol.ts";
import { Wireshark } from "./wireshark.ts";

let wireshark: Wireshark | undefined;

function started(): Wireshark {
  if (wireshark === undefined) throw new Error("the dissectors haven't been started");
  return wireshark;
}

const api: DissectorsApi = {
  async start(folder, progress) {
    wireshark ??= await Wireshark.start(await fetchDissectors(folder, progress));
    return { version: wireshark.version, rules: wireshark.rules };
  },
  load: (capture) => started().load(capture),
  rows: (frames) => started().rows(frames),
  filter: (text, skip, limit) => started().filter(text, skip, limit),
  check: (text) => started().check(text),
  complete: (begin) => started().complete(begin),
  details: (frame) => started().details(frame),
};

expose(api);
