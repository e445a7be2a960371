/**
 * Capture files: pcapng and classic pcap, written and read, and the key files beside them. Depends on
 * nothing but the language and its TextEncoder and TextDecoder.
 */
export {
  DIRECTION,
  type Direction,
  LINKTYPE,
  MAX_PACKET_BYTES,
  SECRETS_TLS_KEY_LOG,
} from "./constants.ts";
export { CaptureFormatError, CaptureWriteError } from "./errors.ts";
export { type EspSa, EspSaFile, espSaRow, type TlsSecretLabel, tlsKeyLogLine } from "./key-files.ts";
export { type PcapOptions, PcapWriter } from "./pcap-writer.ts";
export { readPcapng } from "./pcapng-reader.ts";
export {
  type Comments,
  type InterfaceOptions,
  type NameEntry,
  type PacketExtra,
  type PcapngOptions,
  PcapngWriter,
  type StatisticsOptions,
} from "./pcapng-writer.ts";
export { readAll, readCapture, readPackets, readPcap } from "./reader.ts";
export { DEFAULT_BUFFER_BYTES, MemorySink, type Sink } from "./record-buffer.ts";
export type {
  CaptureRecord,
  InterfaceRecord,
  NamesRecord,
  PacketRecord,
  SecretsRecord,
  SectionRecord,
  StatisticsRecord,
  Time,
} from "./records.ts";
