import { describe, expect, it } from "vitest";
import {
  embeddedResolvConf,
  filterNameservers,
  formatResolvConf,
  hostsFile,
  hostsNames,
  parseResolvConf,
} from "../../src/libnetwork/files.ts";
import { FakeSwarm, ip } from "../support/fake-swarm.ts";

describe("resolv.conf", () => {
  it("is read and written; comments go, the last search line counts", () => {
    const conf = parseResolvConf(
      "# made by hand\nsearch a b\nnameserver 10.0.0.1 # first\nsearch lan\noptions ndots:2 edns0\nnameserver ::1\n",
    );
    expect(conf).toEqual({ nameservers: ["10.0.0.1", "::1"], search: ["lan"], options: ["ndots:2", "edns0"] });
    expect(formatResolvConf(conf)).toBe("search lan\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:2 edns0\n");
    expect(formatResolvConf({ nameservers: [], search: ["."], options: [] })).toBe("");
  });

  it("leaves the host's loopback servers out, and takes public ones where none is left", () => {
    expect(filterNameservers(["127.0.0.53", "10.0.0.1", "fd00::1"])).toEqual(["10.0.0.1"]);
    expect(filterNameservers(["127.0.0.1"])).toEqual(["8.8.8.8", "8.8.4.4"]);
  });

  it("names the embedded server only, with ndots:0 unless the user set it", () => {
    const host = parseResolvConf("search lan\nnameserver 10.0.0.1\noptions edns0\n");
    expect(formatResolvConf(embeddedResolvConf(host, "127.0.0.11"))).toBe(
      "search lan\nnameserver 127.0.0.11\noptions edns0 ndots:0\n",
    );
    const set = embeddedResolvConf({ ...host, options: ["ndots:1"] }, "127.0.0.11");
    expect(set.options).toEqual(["ndots:1"]);
  });

  it("follows --dns, --dns-search and --dns-option", () => {
    const node = new FakeSwarm().addNode({ resolvConf: "search lan\nnameserver 10.0.0.1\n" });
    const web = node.controller.newLocalNetwork({ name: "web", driver: "bridge" });
    const sandbox = node.controller.newSandbox({ containerId: "c", dns: ["127.0.0.1"], dnsOptions: ["ndots:1"] });
    expect(sandbox.resolvConf()).toBe("search lan\nnameserver 127.0.0.1\noptions ndots:1\n");
    web.createEndpoint("c").join(sandbox);
    sandbox.setKey();
    expect(sandbox.resolvConf()).toBe("search lan\nnameserver 127.0.0.11\noptions ndots:1\n");
    expect(sandbox.ndotsSet).toBe(true);
  });
});

describe("/etc/hosts", () => {
  it("ends with the extra hosts and a line per endpoint", () => {
    const text = hostsFile(
      [{ name: "db", ip: "10.9.9.9" }],
      [{ ip: ip("10.0.1.2"), names: hostsNames("web", "example.org") }],
    );
    expect(text.split("\n").slice(-3)).toEqual(["10.9.9.9\tdb", "10.0.1.2\tweb.example.org web", ""]);
    expect([hostsNames("web", ""), hostsNames("web.example.org", "")]).toEqual(["web", "web.example.org web"]);
  });
});
