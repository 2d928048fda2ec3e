/**
 * A set and a map for what comes and goes by the thousand, such as open calls. A `Set` or `Map` of them keeps them in
 * memory long after they were taken out: every so many changes V8 moves on to a new table, and once a full collection has
 * made the table old, each outgrown one holds what was in it until the next full collection, tens of seconds later.
 * Whole calls then survive every small collection and are copied by it: a gateway spent a tenth of its time so. What
 * lies here in an outgrown table is an emptied box.
 */
interface Box<Value> {
  value: Value | undefined;
}

export class PassingSet<Member extends object> {
  readonly #boxes = new Set<Box<Member>>();

  get size(): number {
    return this.#boxes.size;
  }

  /** Returns what takes the member out again. */
  add(member: Member): () => void {
    const box: Box<Member> = { value: member };
    this.#boxes.add(box);
    return () => {
      box.value = undefined;
      this.#boxes.delete(box);
    };
  }

  *[Symbol.iterator](): Generator<Member, void> {
    for (const { value } of this.#boxes) if (value !== undefined) yield value;
  }
}

/** In the order in which keys were first set, as `Map`. */
export class PassingMap<Key, Value extends object> {
  readonly #boxes = new Map<Key, Box<Value>>();

  get size(): number {
    return this.#boxes.size;
  }

  get(key: Key): Value | undefined {
    return this.#boxes.get(key)?.value;
  }

  has(key: Key): boolean {
    return this.#boxes.has(key);
  }

  set(key: Key, value: Value): void {
    const box = this.#boxes.get(key);
    if (box) box.value = value;
    else this.#boxes.set(key, { value });
  }

  /** False when there was none. */
  delete(key: Key): boolean {
    const box = this.#boxes.get(key);
    if (!box) return false;
    box.value = undefined;
    return this.#boxes.delete(key);
  }

  keys(): MapIterator<Key> {
    return this.#boxes.keys();
  }

  *[Symbol.iterator](): Generator<[Key, Value], void> {
    for (const [key, { value }] of this.#boxes) if (value !== undefined) yield [key, value];
  }

  clear(): void {
    for (const box of this.#boxes.values()) box.value = undefined;
    this.#boxes.clear();
  }
}
