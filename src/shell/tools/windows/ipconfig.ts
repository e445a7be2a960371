/** ipconfig and ipconfig /all of Windows Server 2022, for IPv4. */
import { formatIpv4, formatMac, type Ipv4, maskOf } from "../../../base/addr.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import type { LinkInfo } from "../../../kernel/types.ts";
import { quick } from "../../lib/program.ts";
import { readResolvConf } from "../../lib/resolve.ts";

/** Columns in front of the colon. */
const LABEL_WIDTH = 34;

/** A label and dots in every other column up to the colon. */
function field(label: string, value: string): string {
  const dots = label.length % 2 === 0 ? ". ".repeat(LABEL_WIDTH) : " .".repeat(LABEL_WIDTH);
  return `   ${`${label}${dots}`.slice(0, LABEL_WIDTH - 1)} : ${value}`;
}

/** What the adapter is called: HNS names its own after the network, and those in a container after their number. */
function adapterName(context: ProgramContext, link: LinkInfo, number: number): string {
  const onHost = context.ns === context.ns.host.root;
  if (onHost)
    return link.kind === "nic" ? ordinal("Ethernet", number) : link.name.replace(/^vEthernet-(.*)$/, "vEthernet ($1)");
  return ordinal("vEthernet (Ethernet)", number);
}

function ordinal(name: string, number: number): string {
  return number === 0 ? name : `${name} ${number + 1}`;
}

function adapter(context: ProgramContext, link: LinkInfo, number: number, all: boolean): string[] {
  const { ns } = context;
  const gateway = ns.route.list("main").find((route) => route.dst.prefix === 0 && route.dev === link.index)?.via;
  const lines = [
    `Ethernet adapter ${adapterName(context, link, number)}:`,
    "",
    field("Connection-specific DNS Suffix ", ""),
  ];
  if (all) {
    lines.push(
      field(
        "Description",
        link.kind === "nic" ? "Microsoft Hyper-V Network Adapter" : "Hyper-V Virtual Ethernet Adapter",
      ),
      field("Physical Address", formatMac(link.mac).toUpperCase().replaceAll(":", "-")),
      field("DHCP Enabled", "No"),
      field("Autoconfiguration Enabled", "Yes"),
    );
  }
  for (const { addr } of ns.addr.list(link.index)) {
    lines.push(field("IPv4 Address", formatIpv4(addr.ip) + (all ? "(Preferred)" : "")));
    lines.push(field("Subnet Mask", formatIpv4(maskOf(addr.prefix))));
  }
  lines.push(field("Default Gateway", gateway === undefined ? "" : formatIpv4(gateway)));
  if (!all) return lines;
  const servers: readonly Ipv4[] = readResolvConf(context).servers;
  const [first, ...others] = servers;
  if (first !== undefined) lines.push(field("DNS Servers", formatIpv4(first)));
  for (const server of others) lines.push(" ".repeat(LABEL_WIDTH + 5) + formatIpv4(server));
  lines.push(field("NetBIOS over Tcpip", "Disabled"));
  return lines;
}

function host(context: ProgramContext): string[] {
  return [
    field("Host Name", context.hostname),
    field("Primary Dns Suffix ", ""),
    field("Node Type", "Hybrid"),
    // What the stack forwards for containers is HNS' doing, which this line is not about.
    field("IP Routing Enabled", "No"),
    field("WINS Proxy Enabled", "No"),
    "",
  ];
}

/** ipconfig.exe. */
export const ipconfig: Program = quick((context) => {
  const [option, more] = context.argv.slice(1);
  const all = option !== undefined && /^[-/]all$/i.test(option);
  if (more !== undefined || (option !== undefined && !all)) {
    context.stdout.write("\nError: unrecognized or incomplete command line.\n\nUSAGE:\n    ipconfig [/all]\n\n");
    return 1;
  }
  const { ns } = context;
  const adapters = ns.link.list().filter((link) => link.kind !== "loopback" && ns.addr.list(link.index).length > 0);
  const lines = ["", "Windows IP Configuration", "", ...(all ? host(context) : [""])];
  let numbered = 0;
  for (const link of adapters) {
    const own = ns !== ns.host.root || link.kind === "nic";
    lines.push(...adapter(context, link, own ? numbered++ : 0, all), "");
  }
  context.stdout.write(`${lines.join("\n")}\n`.replace(/\n\n$/, "\n"));
  return 0;
});
