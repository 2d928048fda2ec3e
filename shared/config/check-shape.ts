import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { formatPath, type Fault, type PathPart } from "./config-error.ts";
import { hint } from "./nearest.ts";

/** The part of JSON Schema that our file schema is made of. */
interface Shape extends TSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly minProperties?: number;
  readonly items?: Shape;
  readonly minItems?: number;
  readonly anyOf?: readonly Shape[];
  readonly enum?: readonly unknown[];
  readonly errorMessage?: string;
}

interface Work {
  readonly substituted: ReadonlySet<string>;
  readonly faults: Fault[];
}

type Mapping = Record<string, unknown>;

/**
 * Every fault of a tree against a schema, each with its path, unknown members with the nearest known name. TypeBox's
 * own errors stop at eight and report every branch of a union, so containers are walked here and TypeBox judges leaves.
 *
 * Values that came whole from the environment are texts; where the schema wants a number or a truth value they are
 * converted in the tree.
 */
export function checkShape(tree: unknown, schema: TSchema, substituted: ReadonlySet<string>): Fault[] {
  const work: Work = { substituted, faults: [] };
  check({ value: tree, path: [], replace: () => undefined }, schema, work);
  return work.faults;
}

interface Place {
  readonly value: unknown;
  readonly path: readonly PathPart[];
  readonly replace: (value: unknown) => void;
}

function check(place: Place, shape: Shape, work: Work): void {
  if (isTyped(shape)) return checkTyped(place, shape.anyOf, work);
  const branch = shape.anyOf?.find((candidate) => isContainerFor(candidate, place.value));
  if (branch) return check(place, branch, work);
  if (shape.type === "object") return checkMapping(place, shape, work);
  if (shape.type === "array") return checkList(place, shape, work);
  return checkLeaf(place, shape, work);
}

interface TypedUnion extends Shape {
  readonly anyOf: readonly Shape[];
}

/** A union of mappings that are told apart by their member `type`. */
function isTyped(shape: Shape): shape is TypedUnion {
  return shape.anyOf?.every(({ properties }) => properties?.["type"]?.enum !== undefined) ?? false;
}

function checkTyped({ value, path, replace }: Place, shapes: readonly Shape[], work: Work): void {
  const fault = (message: string, ...at: readonly string[]): void => {
    work.faults.push({ at: [...path, ...at], message });
  };
  if (!isMapping(value)) return fault("must be a mapping");
  const { type } = value;
  if (type === undefined) return fault("is missing", "type");
  const shape = shapes.find(({ properties }) => properties?.["type"]?.enum?.includes(type));
  if (shape) return check({ value, path, replace }, shape, work);
  const types = shapes.flatMap(({ properties }) => properties?.["type"]?.enum ?? []).map(String);
  fault(`must be one of ${types.join(", ")}${typeof type === "string" ? hint(type, types) : ""}`, "type");
}

function isContainerFor(shape: Shape, value: unknown): boolean {
  if (shape.type === "object") return isMapping(value);
  return shape.type === "array" && Array.isArray(value);
}

function checkMapping(place: Place, shape: Shape, work: Work): void {
  const { value, path } = place;
  if (!isMapping(value) || Object.keys(value).length < (shape.minProperties ?? 0)) return report(place, shape, work);
  for (const name of shape.required ?? []) {
    if (value[name] === undefined) work.faults.push({ at: [...path, name], message: "is missing" });
  }
  for (const [name, member] of Object.entries(value)) {
    const memberShape = findMember(shape, name);
    const memberPlace = { value: member, path: [...path, name], replace: (next: unknown) => void (value[name] = next) };
    if (memberShape) check(memberPlace, memberShape, work);
    else work.faults.push(describeUnknown(name, path, shape));
  }
}

function findMember(shape: Shape, name: string): Shape | undefined {
  if (shape.properties && Object.hasOwn(shape.properties, name)) return shape.properties[name];
  const patterns = Object.entries(shape.patternProperties ?? {});
  return patterns.find(([pattern]) => new RegExp(pattern).test(name))?.[1];
}

function describeUnknown(name: string, path: readonly PathPart[], shape: Shape): Fault {
  // `api_key:secret` without a space is one YAML name, so a name that is no word is not repeated.
  if (!/^[A-Za-z_][\w-]{0,39}$/.test(name)) {
    return { at: path, message: "has a member whose name cannot be used", unnamed: name };
  }
  if (shape.patternProperties) return { at: [...path, name], message: "this name cannot be used" };
  const message = `unknown member${hint(name, Object.keys(shape.properties ?? {}))}`;
  return { at: [...path, name], message };
}

function checkList(place: Place, shape: Shape, work: Work): void {
  const { value, path } = place;
  if (!Array.isArray(value) || value.length < (shape.minItems ?? 0)) return report(place, shape, work);
  const list = value as unknown[];
  for (const [index, item] of list.entries()) {
    const itemPlace = { value: item, path: [...path, index], replace: (next: unknown) => void (list[index] = next) };
    if (shape.items) check(itemPlace, shape.items, work);
  }
}

function checkLeaf(place: Place, shape: Shape, work: Work): void {
  if (Value.Check(shape, place.value)) return;
  if (work.substituted.has(formatPath(place.path))) {
    const converted = convert(place.value);
    if (converted !== undefined && Value.Check(shape, converted)) return place.replace(converted);
  }
  report(place, shape, work);
}

function convert(value: unknown): number | boolean | undefined {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "string" && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined;
}

function report({ path, value }: Place, shape: Shape, work: Work): void {
  const message = value === "" && shape.type === "string" ? "must not be empty" : shape.errorMessage;
  work.faults.push({ at: path, message: message ?? "has a value that cannot be used" });
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
