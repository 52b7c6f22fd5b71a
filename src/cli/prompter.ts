// Asking a person at a terminal. The questions know only this interface, so a test can be the person.

/** The person pressed Ctrl-C or Escape. */
export class Cancelled extends Error {}

export interface Question {
  readonly message: string;
  readonly initial?: string;
  /** What is wrong with the answer, or undefined. */
  readonly check?: (value: string) => string | undefined;
}

/** Every method rejects with `Cancelled` when the person gives up. */
export interface Prompter {
  text(question: Question): Promise<string>;
  /** Not shown while it is typed. */
  secret(question: Question): Promise<string>;
  confirm(message: string): Promise<boolean>;
  say(text: string): void;
  /** Shows that something is waited for. */
  waiting<T>(message: string, work: Promise<T>): Promise<T>;
}

/** Questions with @clack/prompts, loaded only when somebody is asked. */
export async function terminalPrompter(): Promise<Prompter> {
  const clack = await import('@clack/prompts');
  const answered = <T>(value: T | symbol): T => {
    if (clack.isCancel(value)) throw new Cancelled();
    return value as T;
  };
  const validate = (check: Question['check']) => (value: string | undefined) => check?.(value ?? '');
  return {
    text: async ({ message, initial = '', check }) =>
      answered<string>(await clack.text({ message, initialValue: initial, validate: validate(check) })).trim(),
    secret: async ({ message, check }) =>
      answered<string>(await clack.password({ message, validate: validate(check) })).trim(),
    confirm: async (message) => answered<boolean>(await clack.confirm({ message })),
    say: (text) => clack.log.message(text),
    waiting: async (message, work) => {
      const spinner = clack.spinner();
      spinner.start(message);
      try {
        return await work;
      } finally {
        spinner.stop(message);
      }
    },
  };
}
