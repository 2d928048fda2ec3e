import type { Fault, PathPart } from "./config-error.ts";

type Mapping = Record<string, unknown>;

/**
 * A copy without the entries (of a mapping or list in the first level) and the whole sections that have faults: what is
 * left is whole. Entries of a list keep their places.
 */
export function withoutEntries(tree: Mapping, faults: readonly Fault[]): Mapping {
  return withoutPlaces(tree, placesOf(tree, faults, 2));
}

/** A copy without what is at fault and nothing else; an item that lacks a member, or its name, is left out whole. */
export function withoutMembers(tree: Mapping, faults: readonly Fault[]): Mapping {
  return withoutPlaces(tree, placesOf(tree, faults, Infinity));
}

type Place = readonly PathPart[];

function placesOf(tree: Mapping, faults: readonly Fault[], deepest: number): Place[] {
  return faults.map(({ at, unnamed }) => {
    const place = unnamed === undefined ? at : [...at, unnamed];
    const isThere = place.length <= 1 || hasMember(valueAt(tree, place.slice(0, -1)), place.at(-1));
    return (isThere && !isName(place.at(-1)) ? place : place.slice(0, -1)).slice(0, deepest);
  });
}

/** Whether a member is what its item is known by: without it there is nothing to say of the rest. */
function isName(member: PathPart | undefined): boolean {
  return member === "name" || member === "provider";
}

function valueAt(tree: unknown, place: Place): unknown {
  return place.reduce<unknown>((value, part) => (isContainer(value) ? value[part] : undefined), tree);
}

function hasMember(value: unknown, part: PathPart | undefined): boolean {
  return part !== undefined && isContainer(value) && Object.hasOwn(value, part);
}

function withoutPlaces(value: Mapping, places: readonly Place[]): Mapping;
function withoutPlaces(value: unknown, places: readonly Place[]): unknown;
function withoutPlaces(value: unknown, places: readonly Place[]): unknown {
  if (places.length === 0 || !isContainer(value)) return value;
  const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
    const own = places.filter(([first]) => String(first) === name).map((place) => place.slice(1));
    return [name, own.some((place) => place.length === 0) ? undefined : withoutPlaces(member, own)];
  });
  if (Array.isArray(value)) return entries.map(([, member]) => member);
  return Object.fromEntries(entries.filter(([, member]) => member !== undefined));
}

function isContainer(value: unknown): value is Record<PathPart, unknown> {
  return typeof value === "object" && value !== null;
}
