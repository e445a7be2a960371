/** A host of the scale benchmark: what the plan has on it, placed at boot, and its part in the traffic. */
import { placeHost } from "../../dist/src/workload/mesh/place.js";
import { HostTraffic } from "../../dist/src/workload/mesh/traffic.js";

export function createMachine(os, { plan }, emit) {
  let containers;
  let traffic;
  return {
    start() {
      containers = placeHost(os.kernel, plan, os.hostIndex);
    },
    command(_id, request) {
      if (request === "report") {
        const { flows } = traffic.report();
        const sum = (part) => flows.reduce((total, flow) => total + flow[part], 0);
        emit({ sent: sum("sent"), received: sum("received") });
        return;
      }
      traffic = new HostTraffic(os, plan, os.hostIndex, containers);
      traffic.listen();
      traffic.start(request.at);
    },
  };
}
