/** Filters of list requests (swarmkit manager/controlapi/common.go filterContainsPrefix, filterMatchLabels). */

/** No prefixes: everything passes. */
export function hasPrefix(text: string, prefixes: readonly string[] | undefined): boolean {
  return prefixes === undefined || prefixes.length === 0 || prefixes.some((prefix) => text.startsWith(prefix));
}

/** No values: everything passes. */
export function isOneOf<T>(value: T, values: readonly T[] | undefined): boolean {
  return values === undefined || values.length === 0 || values.includes(value);
}

/** All wanted labels must be there; a wanted empty value stands for any. */
export function labelsMatch(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>> | undefined,
): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => key in labels && (value === "" || labels[key] === value));
}
