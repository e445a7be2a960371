/** ICMP counters by type (net/ipv4/icmp.c icmp_out_count, icmp_rcv). */
import { NetNs } from "../link/netns";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp";
import {
  SNMP_ICMP_IN_DEST_UNREACHS,
  SNMP_ICMP_IN_ECHOS,
  SNMP_ICMP_IN_ECHO_REPS,
  SNMP_ICMP_IN_MSGS,
  SNMP_ICMP_IN_PARM_PROBS,
  SNMP_ICMP_IN_REDIRECTS,
  SNMP_ICMP_IN_SRC_QUENCHS,
  SNMP_ICMP_IN_TIMESTAMPS,
  SNMP_ICMP_IN_TIMESTAMP_REPS,
  SNMP_ICMP_IN_TIME_EXCDS,
  SNMP_ICMP_OUT_DEST_UNREACHS,
  SNMP_ICMP_OUT_ECHOS,
  SNMP_ICMP_OUT_ECHO_REPS,
  SNMP_ICMP_OUT_MSGS,
  SNMP_ICMP_OUT_PARM_PROBS,
  SNMP_ICMP_OUT_REDIRECTS,
  SNMP_ICMP_OUT_TIMESTAMP_REPS,
  SNMP_ICMP_OUT_TIME_EXCDS,
  snmpInc,
} from "./snmp";

/** A message of that type leaves. */
export function countOut(ns: NetNs, type: u32): void {
  snmpInc(ns, SNMP_ICMP_OUT_MSGS);
  if (type == ICMP_DEST_UNREACH) snmpInc(ns, SNMP_ICMP_OUT_DEST_UNREACHS);
  else if (type == ICMP_TIME_EXCEEDED) snmpInc(ns, SNMP_ICMP_OUT_TIME_EXCDS);
  else if (type == ICMP_PARAMETERPROB) snmpInc(ns, SNMP_ICMP_OUT_PARM_PROBS);
  else if (type == ICMP_REDIRECT) snmpInc(ns, SNMP_ICMP_OUT_REDIRECTS);
  else if (type == ICMP_ECHO) snmpInc(ns, SNMP_ICMP_OUT_ECHOS);
  else if (type == ICMP_ECHOREPLY) snmpInc(ns, SNMP_ICMP_OUT_ECHO_REPS);
  else if (type == ICMP_TIMESTAMPREPLY) snmpInc(ns, SNMP_ICMP_OUT_TIMESTAMP_REPS);
}

/** A message of that type came in. */
export function countIn(ns: NetNs, type: u32): void {
  snmpInc(ns, SNMP_ICMP_IN_MSGS);
  if (type == ICMP_DEST_UNREACH) snmpInc(ns, SNMP_ICMP_IN_DEST_UNREACHS);
  else if (type == ICMP_TIME_EXCEEDED) snmpInc(ns, SNMP_ICMP_IN_TIME_EXCDS);
  else if (type == ICMP_PARAMETERPROB) snmpInc(ns, SNMP_ICMP_IN_PARM_PROBS);
  else if (type == ICMP_SOURCE_QUENCH) snmpInc(ns, SNMP_ICMP_IN_SRC_QUENCHS);
  else if (type == ICMP_REDIRECT) snmpInc(ns, SNMP_ICMP_IN_REDIRECTS);
  else if (type == ICMP_ECHO) snmpInc(ns, SNMP_ICMP_IN_ECHOS);
  else if (type == ICMP_ECHOREPLY) snmpInc(ns, SNMP_ICMP_IN_ECHO_REPS);
  else if (type == ICMP_TIMESTAMP) snmpInc(ns, SNMP_ICMP_IN_TIMESTAMPS);
  else if (type == ICMP_TIMESTAMPREPLY) snmpInc(ns, SNMP_ICMP_IN_TIMESTAMP_REPS);
}
