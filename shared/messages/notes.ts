/**
 * Adds a remark for the trace, each once. What a later one says of the same target of the plan (`plan: one claude-x
 * blocked until …`) takes the earlier one's place: a call that is put aside for hours meets the same target again and again.
 */
export function addNote(notes: string[], note: string): void {
  const subject = subjectOf(note);
  const at = notes.findIndex((known) => known === note || (subject !== undefined && subjectOf(known) === subject));
  if (at === -1) notes.push(note);
  else notes[at] = note;
}

/** The remarks of a call that was put aside, and those made since. */
export function joinNotes(before: readonly string[], since: readonly string[]): readonly string[] {
  if (before.length === 0) return since;
  const notes = [...before];
  for (const note of since) addNote(notes, note);
  return notes;
}

function subjectOf(note: string): string | undefined {
  const end = note.startsWith("plan: ") ? note.indexOf(" until ") : -1;
  return end === -1 ? undefined : note.slice(0, end);
}
