/** The session worker's entry: the emulation runs here, so that the page never waits for it. */
import { expose } from "comlink";
import { SessionContext } from "./context.ts";
import { faultsApi } from "./faults/api.ts";
import { labsApi } from "./labs/api.ts";
import { packetsApi } from "./packets/api.ts";
import type { SessionApi } from "./protocol.ts";
import { tablesApi } from "./tables/api.ts";
import { terminalsApi } from "./terminals/api.ts";
import { timeApi } from "./time/api.ts";

const context = new SessionContext();
const api: SessionApi = {
  ...faultsApi(context),
  ...labsApi(context),
  ...packetsApi(context),
  ...tablesApi(context),
  ...terminalsApi(context),
  ...timeApi(context),
};

expose(api);
