/** How associations and policies look in the daemon's log (vishvananda/netlink xfrm_state.go, xfrm_policy.go, of 20.10). */
import { formatCidr, formatIpv4, type Ipv4 } from "../../base/addr.ts";
import type { XfrmAead, XfrmPolicySpec } from "../../kernel/xfrm-types.ts";

/** What names an association to whoever made it. */
export interface SaId {
  readonly src: Ipv4;
  readonly dst: Ipv4;
  readonly spi: number;
  readonly reqid: number;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** A Go slice in `%v`. */
export function listText(items: readonly string[]): string {
  return `[${items.join(" ")}]`;
}

/** netlink.XfrmState.String; without a cipher where only the names are known. */
export function saText({ src, dst, spi, reqid }: SaId, cipher: { readonly aead: XfrmAead } | undefined): string {
  const aead =
    cipher === undefined
      ? "<nil>"
      : `{Name: ${cipher.aead.name}, Key: 0x${keyHex(cipher.aead.key)}, ICV length: ${cipher.aead.icvBits}}`;
  return `Dst: ${formatIpv4(dst)}, Src: ${formatIpv4(src)}, Proto: esp, Mode: transport, SPI: ${hex(spi)}, ReqID: ${hex(reqid)}, ReplayWindow: 0, Mark: <nil>, OutputMark: <nil>, Ifid: 0, Auth: <nil>, Crypt: <nil>, Aead: ${aead}, Encap: <nil>, ESN: false`;
}

function keyHex(key: Uint8Array): string {
  return Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** netlink.XfrmPolicy.String. */
export function policyText(policy: XfrmPolicySpec & { readonly index?: number }): string {
  const { selector, mark, templates } = policy;
  const tmpls = templates.map(
    (t) =>
      `{Dst: ${formatIpv4(t.dst)}, Src: ${formatIpv4(t.src)}, Proto: esp, Mode: transport, Spi: ${hex(t.spi)}, Reqid: ${hex(t.reqid)}}`,
  );
  const shown = mark === undefined ? "<nil>" : `(${hex(mark.value)},${hex(mark.mask)})`;
  return `{Dst: ${formatCidr(selector.dst)}, Src: ${formatCidr(selector.src)}, Proto: ${selector.protocol}, DstPort: ${selector.dport}, SrcPort: ${selector.sport}, Dir: dir ${policy.dir}, Priority: ${policy.priority}, Index: ${policy.index ?? 0}, Action: ${policy.action}, Ifindex: 0, Ifid: 0, Mark: ${shown}, Tmpls: ${listText(tmpls)}}`;
}
