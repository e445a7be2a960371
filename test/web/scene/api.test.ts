/** Looks at an emulation that is replaced meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SessionContext } from "../../../web/session/context.ts";
import type { Emulation } from "../../../web/session/emulation.ts";
import { sceneApi } from "../../../web/session/scene/api.ts";
import { type Watching, watchLab } from "../../support/scene.ts";

const LAB = (hosts: string): string => `hosts: { ${hosts} }\nsteps:\n  - wait: 1s\n`;

describe("a look", () => {
  let labs: Watching[];
  beforeAll(async () => {
    labs = [await watchLab(LAB("a1: {}")), await watchLab(LAB("b1: {}, b2: {}"))];
  });
  afterAll(async () => {
    for (const { session } of labs) await session.close();
  });

  const emulation = ({ session, recording }: Watching): Emulation =>
    ({ lab: session, recording, watch: { log: { recent: [], drops: [] } }, seed: "1" }) as unknown as Emulation;

  it("is at what took the place of what it began with", async () => {
    const [first, second] = labs.map(emulation) as [Emulation, Emulation];
    const context = { emulation: first };
    const api = sceneApi(context as unknown as SessionContext);
    expect(api.sceneTopology().hosts.map(({ name }) => name)).toEqual(["a1"]);
    const look = { fresh: true, near: [], packets: 0 };
    expect((await api.scene(look)).hosts).toHaveLength(1);
    const under = api.scene({ ...look, fresh: false });
    context.emulation = second;
    const update = await under;
    expect(update.hosts.map(({ scene }) => scene?.networks.length)).toEqual([3, 3]);
    expect(api.sceneTopology().hosts.map(({ name }) => name)).toEqual(["b1", "b2"]);
    // Nothing is new then.
    expect((await api.scene({ ...look, fresh: false })).hosts).toEqual([]);
  });
});
