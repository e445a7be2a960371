/** comlink ships its Node adapter as an ES module without a declaration beside it. */
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { Endpoint } from "comlink";

  /** @param port a Worker, a MessagePort, or parentPort of worker_threads */
  const nodeEndpoint: (port: object) => Endpoint;
  export default nodeEndpoint;
}
