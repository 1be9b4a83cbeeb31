// Everything that can be done from anywhere: the palette lists it, `?` lists what has a key, and the
// keys are listened for once (keys.ts). Pages add what is theirs while they are shown.

export interface Command {
  id: string;
  label: string;
  /** One character, as the keyboard gives it, in lower case. */
  key?: string;
  /** Together with Ctrl or Cmd. */
  mod?: boolean;
  run: () => void;
}

class Commands {
  list = $state.raw<readonly Command[]>([]);

  /** Adds commands until the returned function is called; later ones go before earlier ones. */
  add(commands: readonly Command[]): () => void {
    this.list = [...commands, ...this.list];
    return () => (this.list = this.list.filter((c) => !commands.includes(c)));
  }
  byKey(key: string, mod: boolean): Command | undefined {
    return this.list.find((c) => c.key === key && (c.mod ?? false) === mod);
  }
}

export const commands = new Commands();
