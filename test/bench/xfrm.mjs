/** IPsec for the bare kernel: states, policies, and an overlay encrypted as dockerd does it. */
import { abi, ip, iptablesRestore } from "./kernel.mjs";

function record(kernel, length, fields) {
  const view = kernel.view();
  kernel.u8().fill(0, kernel.scratch, kernel.scratch + length);
  for (const [at, value] of fields) view.setUint32(kernel.scratch + at, value >>> 0, true);
}

/** Adds a state; `key` has its salt, `limit` is its hard limit in packets. */
export function addState(kernel, ns, { src, dst, spi, reqid, key, flags = 0, window = 0, limit = Infinity }) {
  record(kernel, abi.XSA_RECORD, [
    [abi.XSA_SRC, src],
    [abi.XSA_DST, dst],
    [abi.XSA_SPI, spi],
    [abi.XSA_REQID, reqid],
    [abi.XSA_KEY_LEN, key.length - 4],
    [abi.XSA_ICV, 8],
    [abi.XSA_FLAGS, flags],
    [abi.XSA_WINDOW, window],
  ]);
  kernel.view().setFloat64(kernel.scratch + abi.XSA_HARD_BYTES, Infinity, true);
  kernel.view().setFloat64(kernel.scratch + abi.XSA_HARD_PACKETS, limit, true);
  kernel.put(key, kernel.scratch + abi.XSA_KEY);
  const error = kernel.x.xfrmStateAdd(ns);
  if (error !== 0) throw new Error(`state ${spi}: ${error}`);
}

/** Adds a policy for UDP to a port, with one template, or replaces it. */
export function addPolicy(kernel, ns, dir, { src, dst, port, reqid, spi = 0, mark, prefix = 32, action }) {
  record(kernel, abi.XPOL_RECORD, [
    [abi.XPOL_SEL + abi.XSEL_SRC, src],
    [abi.XPOL_SEL + abi.XSEL_SRC_PREFIX, prefix],
    [abi.XPOL_SEL + abi.XSEL_DST, dst],
    [abi.XPOL_SEL + abi.XSEL_DST_PREFIX, 32],
    [abi.XPOL_SEL + abi.XSEL_PROTO, 17],
    [abi.XPOL_SEL + abi.XSEL_DPORT, port],
    [abi.XPOL_DIR, dir],
    [abi.XPOL_MARK, mark ?? 0],
    [abi.XPOL_MARK_MASK, mark === undefined ? 0 : 0xffffffff],
    [abi.XPOL_ACTION, action ?? abi.XFRM_POLICY_ALLOW],
    [abi.XPOL_TMPLS, 1],
    [abi.XPOL_TMPL, src],
    [abi.XPOL_TMPL + 4, dst],
    [abi.XPOL_TMPL + 8, spi],
    [abi.XPOL_TMPL + 12, reqid],
  ]);
  const error = kernel.x.xfrmPolicyInsert(ns, 0);
  if (error !== 0) throw new Error(`policy to port ${port}: ${error}`);
}

/** 0xD0C4E3: mark and reqid of dockerd's. */
export const DOCKER_MARK = 13681891;
/** The SPI of the n-th of three keys, there and back. */
export const overlaySpi = (from, key) => 0x1000 + 0x100 * from + key;

/** The three keys of an overlay's hosts, with the SPI as salt. */
export function overlayKey(from, key) {
  const spi = overlaySpi(from, key);
  return Uint8Array.from([...Array.from({ length: 16 }, (_, i) => 17 * i + key), spi >> 24, spi >> 16, spi >> 8, spi]);
}

/**
 * What dockerd sets up on the hosts of overlayHosts() for an encrypted network: for each other host three associations in
 * and one out, of the middle key, and a policy; on each host a rule that marks, one that drops clear text and one that accepts (golden C, host.txt).
 */
export function encryptOverlay(kernel, sides, vni = 4097) {
  const match = `-p udp -m udp --dport 4789 -m u32 --u32 0x0>>0x16&0x3c@0xc&0xffffff00=0x${(vni << 8).toString(16)}`;
  for (const { ns } of sides)
    iptablesRestore(
      kernel,
      ns,
      `*mangle
-A OUTPUT ${match} -j MARK --set-mark ${DOCKER_MARK}
*filter
-A INPUT -m policy --dir in --pol none ${match} -j DROP
-A INPUT -m policy --dir in --pol ipsec ${match} -j ACCEPT`,
    );
  encryptionStates(kernel, sides);
  for (const [from, to, { ns }] of pairs(sides))
    addPolicy(kernel, ns, abi.XFRM_POLICY_OUT, {
      ...ends(from, to),
      port: 4789,
      reqid: DOCKER_MARK,
      spi: overlaySpi(from, 1),
      mark: DOCKER_MARK,
    });
}

function ends(from, to) {
  return { src: ip(`192.168.77.${11 + from}`), dst: ip(`192.168.77.${11 + to}`) };
}

/** Every host with every other: [from, to, the host that sends, the host that receives]. */
function pairs(sides) {
  return sides.flatMap((side, from) => sides.flatMap((far, to) => (to === from ? [] : [[from, to, side, far]])));
}

/** The associations alone; `more` goes to each (see addState). */
export function encryptionStates(kernel, sides, more = {}) {
  for (const [from, to, side, far] of pairs(sides)) {
    for (const key of [0, 1, 2]) {
      const state = { ...ends(from, to), spi: overlaySpi(from, key), reqid: DOCKER_MARK, key: overlayKey(from, key) };
      addState(kernel, far.ns, { ...state, ...more });
      if (key === 1) addState(kernel, side.ns, { ...state, ...more });
    }
  }
}

/** Packets that the association of the middle key from a host has counted in a namespace. */
export function sealedPackets(kernel, ns, from) {
  const count = kernel.x.xfrmStateDump(ns, 0);
  for (let i = 0; i < count; i++) {
    const at = kernel.scratch + i * abi.XSA_RECORD;
    if (kernel.view().getUint32(at + abi.XSA_SPI, true) !== overlaySpi(from, 1)) continue;
    return Number(kernel.view().getBigUint64(at + abi.XSA_PACKETS, true));
  }
  throw new Error("no such association");
}
