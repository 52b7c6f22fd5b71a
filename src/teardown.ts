// What opens registers its close in the same breath; closing goes backwards.

/** A stack of named clean-ups, run last in, first out, once. */
export class Teardown {
  readonly #steps: { readonly name: string; readonly close: () => Promise<unknown> | unknown }[] = [];
  #running: Promise<void> | null = null;

  add(name: string, close: () => Promise<unknown> | unknown): void {
    this.#steps.push({ name, close });
  }

  /** Closes everything; a clean-up that fails is told to `problem` and does not stop the others. Further calls share the first. */
  run(problem: (name: string, error: unknown) => void): Promise<void> {
    this.#running ??= this.#close(problem);
    return this.#running;
  }

  async #close(problem: (name: string, error: unknown) => void): Promise<void> {
    for (const { name, close } of this.#steps.reverse()) {
      try {
        await close();
      } catch (error) {
        problem(name, error);
      }
    }
  }
}
