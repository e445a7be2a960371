/** comlink ships its Node adapter as an ES module without a declaration beside it. */
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { Endpoint } from "comlink";

  /** @param port a Worker, a MessagePort, or parentPort of worker_threads */
  const nodeEndpoint: (port: object) => Endpoint;
  // biome-ignore lint/style/noDefaultExport: it is what comlink has
  export default nodeEndpoint;
}
