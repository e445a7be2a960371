/** The session worker's entry: the emulation runs here, so that the page never waits for it. */
import { expose } from "comlink";
import { loadKernel } from "../kernel.ts";
import { browserPlatform, MACHINES } from "../platform.ts";
import { chartsApi } from "./charts/api.ts";
import { SessionContext } from "./context.ts";
import { faultsApi } from "./faults/api.ts";
import { followApi } from "./follow/api.ts";
import { labsApi } from "./labs/api.ts";
import { packetsApi } from "./packets/api.ts";
import type { SessionApi } from "./protocol.ts";
import { sceneApi } from "./scene/api.ts";
import { tablesApi } from "./tables/api.ts";
import { terminalsApi } from "./terminals/api.ts";
import { timeApi } from "./time/api.ts";
import { workersApi } from "./workers/api.ts";

const context = new SessionContext({ kernel: loadKernel, platform: browserPlatform(), machines: MACHINES });
const api: SessionApi = {
  ...chartsApi(context),
  ...faultsApi(context),
  ...followApi(context),
  ...labsApi(context),
  ...packetsApi(context),
  ...sceneApi(context),
  ...tablesApi(context),
  ...terminalsApi(context),
  ...timeApi(context),
  ...workersApi(context),
};

expose(api);
