/** ncat and ss over the real kernel: two hosts, TCP, UDP and SCTP. */
import { beforeAll, describe, expect, it } from "vitest";
import { kernelBuilt } from "../../support/kernel.ts";
import { type LabRun, labOf, runLab } from "../../support/lab.ts";

const LAB = String.raw`
name: ncat
hosts:
  host1: {}
  host2: {}
steps:
  # A program for each client.
  - host2: docker run -d --name echo --net host nicolaka/netshoot ncat --sctp -l -k -e /bin/cat 9999
  - host2: ss -lnS
    expect: ["/^LISTEN 0 +10 +0\\.0\\.0\\.0:9999 +0\\.0\\.0\\.0:\\*/m"]
  - host1: (echo one; sleep 1; echo two; sleep 1) | ncat --sctp 192.168.77.12 9999
    expect: ["one\ntwo\n"]
  - host1: (seq 1 20000; sleep 3) | ncat --sctp 192.168.77.12 9999 | tail -1
    expect: ["20000\n"]
  # While an association is there, it has a line below its socket's; -t and -u don't show it.
  - host1: (echo x; sleep 3) | ncat --sctp 192.168.77.12 9999 & sleep 1; ss -nS; ss -ntu; netstat -a; sleep 3
    expect:
      - "/^ESTAB +0 +0 +192\\.168\\.77\\.11:\\d+ +192\\.168\\.77\\.12:9999/m"
      - "/^\x60- ESTAB +0 +0 +192\\.168\\.77\\.11:\\d+ +192\\.168\\.77\\.12:9999/m"
  - host1: ss -anS | grep -c 9999
    exit: 1
    expect: ["0\n"]
  - host2: docker rm -f echo
  - host1: echo x | ncat --sctp 192.168.77.12 9999
    exit: 1
    expect: ["Ncat: Connection refused.\n"]
  # A server that ends with its first client; with SCTP also with its input.
  - host2: sleep 20 | ncat --sctp -l 7000 > /tmp/sctp & sleep 20 | ncat -l 7000 > /tmp/tcp & sleep 20 | ncat -u -l 7000 > /tmp/udp & sleep 1
  - host1: echo by sctp | ncat --sctp 192.168.77.12 7000; echo by tcp | ncat --send-only 192.168.77.12 7000; echo by udp | ncat -u 192.168.77.12 7000; sleep 1
  - host2: cat /tmp/sctp /tmp/tcp /tmp/udp
    expect: ["by sctp\nby tcp\nby udp\n"]
  - host2: sleep 3 | ncat -l 7001 & sleep 1; ncat -v -l 7001
    exit: 2
    expect: ["Ncat: Version 7.93", "Ncat: bind to 0.0.0.0:7001: Address already in use. QUITTING."]
  - host1: ncat --sctp nobody.invalid 1
    exit: 2
    expect: ["Ncat: Could not resolve hostname"]
  - host1: ncat -u --sctp 192.168.77.12 1
    exit: 2
    expect: ["UDP mode and SCTP mode are incompatible"]
  - host1: cat /proc/net/sctp/snmp
    expect: ["/^SctpCurrEstab +\t0$/m", "/^SctpActiveEstabs +\t[1-9]\\d*$/m", "/^SctpInSCTPPacks +\t[1-9]\\d+$/m"]
`;

describe.skipIf(!kernelBuilt)("ncat", () => {
  let run: LabRun;

  beforeAll(async () => {
    run = await runLab(labOf(LAB));
  }, 60_000);

  it("talks TCP, UDP and SCTP as a client and as a server", () => {
    expect(run.failures).toEqual([]);
  });
});
