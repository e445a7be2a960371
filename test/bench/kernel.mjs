/**
 * The bare kernel for the programs that run on Node as it is (benchmarks, fuzzer): the module, its constants, rules in
 * iptables-save's words, and a swarm's worth of namespaces as libnetwork sets them up.
 */
import { readFileSync } from "node:fs";

const MODULE = process.env.KERNEL_WASM ?? new URL("../../build/kernel.wasm", import.meta.url);

/** The numbers of assembly/abi.ts: plain integer constants, one a line. */
export const abi = Object.fromEntries(
  [
    ...readFileSync(new URL("../../assembly/abi.ts", import.meta.url), "utf8").matchAll(
      /^export const (\w+) = (\w+);/gm,
    ),
  ].map(([, name, value]) => [name, Number(value)]),
);

let compiled;

export function ip(text) {
  return text.split(".").reduce((value, byte) => value * 256 + Number(byte), 0);
}

/** A kernel of its own. */
export class Kernel {
  constructor(worker = 0) {
    compiled ??= new WebAssembly.Module(readFileSync(MODULE));
    this.memory = new WebAssembly.Memory({ initial: 256, maximum: 32767, shared: true });
    const abort = (message, file, line, column) => {
      throw new Error(`kernel: ${this.#text(message)} at ${this.#text(file)}:${line}:${column}`);
    };
    this.x = new WebAssembly.Instance(compiled, { env: { memory: this.memory, abort } }).exports;
    this.x.boot(worker);
    this.scratch = this.x.scratch();
  }

  #text(at) {
    const view = this.view();
    const length = at === 0 ? 0 : view.getUint32(at - 4, true) / 2;
    return Array.from({ length }, (_, i) => String.fromCharCode(view.getUint16(at + 2 * i, true))).join("");
  }

  // Memory grows: views are made anew when it has.
  u8() {
    if (this.bytes?.buffer !== this.memory.buffer) this.bytes = new Uint8Array(this.memory.buffer);
    return this.bytes;
  }

  view() {
    if (this.data?.buffer !== this.memory.buffer) this.data = new DataView(this.memory.buffer);
    return this.data;
  }

  put(bytes, at = this.scratch) {
    this.u8().set(bytes, at);
    return bytes.length;
  }

  name(text, size = 16) {
    this.u8().fill(0, this.scratch, this.scratch + size);
    this.put(new TextEncoder().encode(text));
  }

  called(dev, name, mac) {
    this.name(name);
    this.x.linkSetName(dev);
    if (mac !== undefined) this.x.linkSetMac(dev, Math.floor(mac / 2 ** 32), mac % 2 ** 32);
    return dev;
  }

  address(dev, text) {
    const [host, prefix] = text.split("/");
    const scope = host.startsWith("127.") ? abi.SCOPE_HOST : abi.SCOPE_GLOBAL;
    const error = this.x.addressAdd(dev, ip(host), Number(prefix), 0, scope);
    if (error !== 0) throw new Error(`address ${text}: ${error}`);
    this.x.linkSetUp(dev, 1);
  }

  veth(a, b) {
    const first = this.x.linkNewVeth(a, b);
    const second = this.x.linkByIndex(b, this.view().getUint32(this.x.linkInfo(first) + 52, true));
    return [first, second];
  }

  /** Conservation of a host's packets. */
  packets(host) {
    const at = this.x.hostPackets(host);
    const [made, done, dropped, sent, arrived, live] = Array.from({ length: 6 }, (_, i) =>
      Number(this.view().getBigUint64(at + 8 * i, true)),
    );
    return { made, done, dropped, sent, arrived, live };
  }

  drops(host) {
    const at = this.x.hostDrops(host);
    return Array.from({ length: abi.DROP_REASONS }, (_, i) => Number(this.view().getBigUint64(at + 8 * i, true)));
  }

  /** Runs to `until`, taking news of sockets and captures as they come. */
  run(until, onWake) {
    for (;;) {
      const code = this.x.run(until, 0xffffffff);
      if (code === abi.RUN_DONE) return;
      if (code === abi.RUN_CAPTURE) this.x.captureClear();
      if (code === abi.RUN_WAKES) {
        if (onWake !== undefined) onWake();
        this.x.clearWakes();
      }
    }
  }
}

const TABLES = { raw: abi.TABLE_RAW, mangle: abi.TABLE_MANGLE, nat: abi.TABLE_NAT, filter: abi.TABLE_FILTER };
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17 };
const STATES = {
  ESTABLISHED: abi.CTSTATE_ESTABLISHED,
  RELATED: abi.CTSTATE_RELATED,
  NEW: abi.CTSTATE_NEW,
  INVALID: abi.CTSTATE_INVALID,
};
const TARGETS = {
  ACCEPT: abi.T_ACCEPT,
  DROP: abi.T_DROP,
  RETURN: abi.T_RETURN,
  MASQUERADE: abi.T_MASQUERADE,
  REDIRECT: abi.T_REDIRECT,
  MARK: abi.T_MARK,
};
const U32_OPERATORS = { "<<": abi.U32_LEFTSH, ">>": abi.U32_RIGHTSH, "&": abi.U32_AND, "@": abi.U32_AT };

/** The words of a u32 expression of one test and one value (src/kernel/u32.ts knows them all). */
function u32Program(text) {
  const [location, value] = text.split("=");
  const [first, ...more] = location.split(/(<<|>>|&|@)/);
  const numbers = [0, Number(first)];
  for (let i = 0; i < more.length; i += 2) numbers.push(U32_OPERATORS[more[i]], Number(more[i + 1]));
  return [1, (numbers.length / 2) | (1 << 16), ...numbers, Number(value), Number(value)];
}

/** The body of a rule (RULE_* of abi.ts) from the words behind `-A CHAIN`. */
function ruleBody(words) {
  const u32 = words.indexOf("--u32");
  const program = u32 < 0 ? [] : u32Program(words[u32 + 1]);
  const body = new Uint8Array(abi.RULE_HEAD + 4 * program.length);
  const view = new DataView(body.buffer);
  const put = (at, value) => view.setUint32(at, value >>> 0, true);
  let flags = 0;
  let invert = 0;
  let not = false;
  const has = (bit) => {
    flags |= bit;
    if (not) invert |= bit;
    not = false;
  };
  const network = (bit, at, text) => {
    const [address, prefix = "32"] = text.split("/");
    const mask = Number(prefix) === 0 ? 0 : (-1 << (32 - Number(prefix))) >>> 0;
    has(bit);
    put(at, ip(address) & mask);
    put(at + 4, mask);
  };
  const device = (bit, at, mask, text) => {
    has(bit);
    body.set(new TextEncoder().encode(text), at);
    body.fill(0xff, mask, mask + 16);
  };
  const port = (bit, at, text) => {
    has(bit);
    view.setUint16(at, Number(text), true);
    view.setUint16(at + 2, Number(text), true);
  };
  const nat = (text) => {
    const [address, ports] = text.split(":");
    let range = 0;
    if (address !== "") {
      range |= abi.NAT_RANGE_MAP_IPS;
      put(abi.RULE_T_IP, ip(address));
      put(abi.RULE_T_IP_MAX, ip(address));
    }
    if (ports !== undefined) {
      range |= abi.NAT_RANGE_PROTO_SPECIFIED;
      view.setUint16(abi.RULE_T_PORT_MIN, Number(ports), true);
      view.setUint16(abi.RULE_T_PORT_MAX, Number(ports), true);
    }
    put(abi.RULE_T_NAT, range);
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "!") {
      not = true;
      continue;
    }
    const value = words[++i];
    if (word === "-s") network(abi.M_SRC, abi.RULE_SRC, value);
    else if (word === "-d") network(abi.M_DST, abi.RULE_DST, value);
    else if (word === "-i") device(abi.M_IN, abi.RULE_IN, abi.RULE_IN_MASK, value);
    else if (word === "-o") device(abi.M_OUT, abi.RULE_OUT, abi.RULE_OUT_MASK, value);
    else if (word === "-p") {
      has(abi.M_PROTO);
      put(abi.RULE_PROTO, PROTOCOLS[value]);
    } else if (word === "--dport") port(abi.M_DPORT, abi.RULE_DPORT_MIN, value);
    else if (word === "--sport") port(abi.M_SPORT, abi.RULE_SPORT_MIN, value);
    else if (word === "--ctstate") {
      has(abi.M_CTSTATE);
      put(
        abi.RULE_CTSTATE,
        value.split(",").reduce((bits, name) => bits | STATES[name], 0),
      );
    } else if (word === "--dst-type") {
      has(abi.M_ADDRTYPE_DST);
      put(abi.RULE_ADDRTYPE_DST, abi.RTN_LOCAL);
    } else if (word === "--u32") {
      has(abi.M_U32);
      view.setUint16(abi.RULE_U32_WORDS, program.length, true);
      for (const [at, word] of program.entries()) put(abi.RULE_HEAD + 4 * at, word);
    } else if (word === "--ipvs") {
      has(abi.M_IPVS);
      i--;
    } else if (word === "--pol") {
      has(abi.M_POLICY);
      put(abi.RULE_POLICY, value === "ipsec" ? abi.POLICY_IPSEC : 0);
    } else if (word === "--set-mark") {
      put(abi.RULE_T_MARK, Number(value));
      put(abi.RULE_T_MARK_MASK, 0xffffffff);
    } else if (word === "--to-destination") nat(value);
    else if (word === "--to-source") nat(value);
    else if (word === "-j") {
      if (value === "DNAT") put(abi.RULE_TARGET, abi.T_DNAT);
      else if (value === "SNAT") put(abi.RULE_TARGET, abi.T_SNAT);
      else if (TARGETS[value] !== undefined) put(abi.RULE_TARGET, TARGETS[value]);
      else {
        put(abi.RULE_TARGET, abi.T_JUMP);
        body.set(new TextEncoder().encode(value), abi.RULE_CHAIN);
      }
    } else if (word !== "-m" && word !== "--dir") throw new Error(`rule: ${word}`);
  }
  put(abi.RULE_FLAGS, flags);
  put(abi.RULE_INVERT, invert);
  return body;
}

/** Loads the text of iptables-save into a namespace. */
export function iptablesRestore(kernel, ns, text) {
  let table = 0;
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line.startsWith("*")) table = TABLES[line.slice(1)];
    else if (line.startsWith(":")) {
      const [chain, policy] = line.slice(1).split(" ");
      kernel.name(chain, abi.CHAIN_NAME);
      if (policy === "-") kernel.x.nfChainNew(ns, table);
      else if (policy === "DROP") kernel.x.nfChainPolicy(ns, table, abi.NF_DROP);
    } else if (line.startsWith("-A ")) {
      const [, chain, ...words] = line.split(" ");
      const body = ruleBody(words);
      kernel.name(chain, abi.CHAIN_NAME);
      kernel.put(body, kernel.scratch + abi.CHAIN_NAME);
      const error = kernel.x.nfRuleInsert(ns, table, 0, body.length);
      if (error !== 0) throw new Error(`${line}: ${error}`);
    }
  }
}

/** A worker of a swarm, as dockerd leaves it (golden B, state-1, host.txt). */
export const HOST_RULES = `
*filter
:FORWARD DROP
:DOCKER -
:DOCKER-ISOLATION-STAGE-1 -
:DOCKER-ISOLATION-STAGE-2 -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker_gwbridge -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker_gwbridge -j DOCKER
-A FORWARD -i docker_gwbridge ! -o docker_gwbridge -j ACCEPT
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP
-A DOCKER-ISOLATION-STAGE-1 -i docker_gwbridge ! -o docker_gwbridge -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker_gwbridge -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
*nat
:DOCKER -
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.18.0.0/16 ! -o docker_gwbridge -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker_gwbridge -j RETURN
-A DOCKER -i docker0 -j RETURN
`;

/** A container's namespace: the rules of its resolver (golden B, ns-ctr-alpine1.txt). */
export const CONTAINER_RULES = `
*nat
:DOCKER_OUTPUT -
:DOCKER_POSTROUTING -
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:42849
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:58374
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 42849 -j SNAT --to-source :53
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 58374 -j SNAT --to-source :53
`;

/** vxlan as libnetwork makes it: learning proxy l2miss l3miss udpcsum. */
const VXLAN_DOCKER = 31;
export const OVERLAY_MAC = 0x02420a000100;

/** Tracks connections and loads the rules of a Docker host. */
export function dockerRules(kernel, side) {
  iptablesRestore(kernel, side.ns, HOST_RULES);
  iptablesRestore(kernel, side.container, CONTAINER_RULES);
}

/** Two hosts on a wire (see overlayHosts): containers 10.0.1.2 and 10.0.1.4. */
export function twoHosts(kernel, options = {}) {
  return overlayHosts(kernel, 2, options);
}

/**
 * Hosts on one switch, an overlay network with a container on each (10.0.1.2, 10.0.1.4, …), and a bridge to the outside
 * (docker_gwbridge). Neighbours and FDB are what gossip would have told.
 */
export function overlayHosts(kernel, count, options = {}) {
  const { rules = true, bridgeNf = true, delay = 10_000, rate = 1e12, mtu = 1450 } = options;
  const { x } = kernel;
  const sides = Array.from({ length: count }, (_, index) => {
    const last = 2 + 2 * index;
    const host = x.hostNew(index, 11 + index, 2, 3, 4);
    const ns = x.hostRoot(host);
    const port = x.portNew(0, index, 0, 0x5254, 0x770011 + index, delay, rate);
    const nic = kernel.called(x.linkNewNic(ns, port), "eth0");
    kernel.address(x.linkFirst(ns), "127.0.0.1/8");
    kernel.address(nic, `192.168.77.${11 + index}/24`);
    x.inetSysctlSet(ns, abi.SYS_IP_FORWARD, 1);
    const overlay = x.netnsNew(host);
    x.netnsSetBrNf(overlay, bridgeNf ? 1 : 0);
    const vxlan = kernel.called(
      x.linkNewVxlan(ns, 4097, 4789, VXLAN_DOCKER, 0, 0, 300e9),
      "vxlan0",
      0x02aa00000001 + index,
    );
    x.linkSetNs(vxlan, overlay);
    x.linkSetMtu(vxlan, mtu);
    const bridge = kernel.called(x.linkNewBridge(overlay, -1), "br0");
    const container = x.netnsNew(host);
    kernel.address(x.linkFirst(container), "127.0.0.1/8");
    const [veth, eth0] = kernel.veth(overlay, container);
    kernel.called(veth, "veth0", 0x02bb00000001 + index);
    kernel.called(eth0, "eth0", OVERLAY_MAC + last);
    for (const dev of [veth, eth0]) x.linkSetMtu(dev, mtu);
    x.linkSetMaster(vxlan, bridge);
    x.linkSetMaster(veth, bridge);
    for (const dev of [vxlan, veth]) x.linkSetUp(dev, 1);
    kernel.address(bridge, "10.0.1.1/24");
    kernel.address(eth0, `10.0.1.${last}/24`);
    // The way out of the container.
    const gateway = kernel.called(x.linkNewBridge(ns, -1), "docker_gwbridge");
    const [gwPort, eth1] = kernel.veth(ns, container);
    kernel.called(gwPort, "vethgw", 0x02cc00000001 + index);
    kernel.called(eth1, "eth1", 0x0242ac120002);
    x.linkSetMaster(gwPort, gateway);
    x.linkSetUp(gwPort, 1);
    kernel.address(gateway, "172.18.0.1/16");
    kernel.address(eth1, "172.18.0.2/16");
    x.routeAdd(container, 0, 0, ip("172.18.0.1"), 0, 0, 0, abi.RTN_UNICAST, abi.RTPROT_BOOT, 0xffffffff, 0, 0);
    return {
      host,
      ns,
      nic,
      overlay,
      bridge,
      vxlan,
      container,
      veth,
      eth0,
      eth1,
      gateway,
      gwPort,
      ip: ip(`10.0.1.${last}`),
      last,
    };
  });
  for (const [index, side] of sides.entries()) {
    for (const [other, far] of sides.entries()) {
      if (other === index) continue;
      const low = (OVERLAY_MAC + far.last) % 2 ** 32;
      x.neighAdd(side.vxlan, far.ip, 0x0242, low, abi.NUD_PERMANENT, 1);
      x.fdbAdd(side.vxlan, 0x0242, low, ip(`192.168.77.${11 + other}`), 0, 0);
    }
    if (rules) dockerRules(kernel, side);
  }
  return sides;
}
