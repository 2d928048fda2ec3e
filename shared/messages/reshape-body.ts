import { scanMembers, type Member, type NameList } from "./json-members.ts";
import { openJson, skipWhitespace } from "./json-scanner.ts";

/** The values of members that are taken out, as they were written. */
type TakenMembers<N extends string> = { readonly [Name in N]?: Buffer };

/** What to change at the top level of a body. */
export interface Reshaping<N extends string> {
  /** Members to take out; what is not there is no matter. */
  readonly take: NameList<N>;
  /** Members to put in front, in this order, never none; values as JSON text. */
  readonly put: (taken: TakenMembers<N>) => Readonly<Record<string, string>>;
}

/**
 * A checked body (one that `readBody` took) with members taken out and others put in front, in pieces that share its
 * memory. All that is kept keeps its bytes and its order: prompt caches and thinking signatures hang on them.
 */
export function reshapeBody<N extends string>(bytes: Buffer, { take, put }: Reshaping<N>): Buffer[] {
  const open = skipWhitespace(bytes, 0);
  const { found } = scanMembers(openJson(bytes), open, { names: take });
  const members = take.names.flatMap((name) => found[name] ?? []).toSorted((a, b) => a.keyStart - b.keyStart);
  const front = Object.entries(put(takenOf(bytes, found)))
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
    .join(",");
  // Each member but the first is taken out with the comma before it; the first one's place is taken by what is put in.
  const firstStays = members[0]?.commaBefore !== -1;
  const pieces = [bytes.subarray(0, open + 1), Buffer.from(firstStays ? `${front},` : front)];
  let position = open + 1;
  for (const { commaBefore, keyStart, end } of members) {
    const start = commaBefore === -1 ? keyStart : commaBefore;
    if (start > position) pieces.push(bytes.subarray(position, start));
    position = end;
  }
  pieces.push(bytes.subarray(position));
  return pieces;
}

function takenOf<N extends string>(bytes: Buffer, found: Partial<Record<N, Member>>): TakenMembers<N> {
  const taken: Partial<Record<N, Buffer>> = {};
  for (const name in found) {
    const member = found[name];
    if (member !== undefined) taken[name] = bytes.subarray(member.start, member.end);
  }
  return taken;
}
