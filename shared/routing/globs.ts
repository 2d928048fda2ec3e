const compiled = new Map<string, RegExp>();

/** Whether one of the globs matches; `*` stands for any run of characters, everything else for itself. */
export function matchesGlob(globs: readonly string[], value: string): boolean {
  return globs.some((glob) => (glob.includes("*") ? compile(glob).test(value) : glob === value));
}

/** Whether a key with these globs may use a model (by its catalogue name); without globs it may use every model. */
export function matchesModel(globs: readonly string[] | undefined, model: string): boolean {
  return globs === undefined || matchesGlob(globs, model);
}

/** Globs come from the configuration, so there are few, and they stay. */
function compile(glob: string): RegExp {
  let pattern = compiled.get(glob);
  if (!pattern) {
    // Runs of asterisks are one: `a**b` must not make the matcher try every split.
    const parts = glob.split(/\*+/).map((part) => RegExp.escape(part));
    pattern = new RegExp(`^${parts.join("[^]*")}$`);
    compiled.set(glob, pattern);
  }
  return pattern;
}
