/**
 * The parser's Command, speaking our error catalogue: whatever it finds wrong is thrown as a
 * HoldfastError with a suggestion, instead of printed by itself.
 */
import { Command, type ErrorOptions } from "commander";
import { didYouMean } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";

export class HoldfastCommand extends Command {
  override createCommand(name?: string): HoldfastCommand {
    return new HoldfastCommand(name);
  }

  override error(message: string, options?: ErrorOptions): never {
    throw this.#translate(options?.code ?? "", message);
  }

  #translate(code: string, message: string): HoldfastError {
    const [quoted = "", second = ""] = [...message.matchAll(/'([^']*)'/g)].map((match) => match[1] as string);
    switch (code) {
      case "commander.unknownOption":
        return new HoldfastError("UNKNOWN_OPTION", { option: quoted, suggestion: this.#suggestOption(quoted) });
      case "commander.unknownCommand":
        return new HoldfastError("UNKNOWN_COMMAND", { command: quoted, suggestion: this.#suggestCommand(quoted) });
      case "commander.missingArgument":
        return new HoldfastError("INVALID_OPTION", {
          option: quoted.toUpperCase(),
          value: "missing",
          expected: `holdfast ${this.name()} ${this.usage()}`,
        });
      case "commander.excessArguments":
        return new HoldfastError("INVALID_OPTION", {
          option: `Argument ${this.args.at(-1) ?? ""}`,
          value: "one too many",
          expected: `holdfast ${this.name()} ${this.usage()}`,
        });
      case "commander.optionMissingArgument":
        return new HoldfastError("INVALID_OPTION", {
          option: longFlag(quoted),
          value: "without a value",
          expected: valueHint(quoted),
        });
      case "commander.conflictingOption":
        return new HoldfastError("INVALID_OPTION", {
          option: longFlag(quoted),
          value: `given together with ${longFlag(second)}`,
          expected: "one of the two",
        });
      default:
        return new HoldfastError("INVALID_OPTION", {
          option: longFlag(quoted),
          value: "not accepted",
          expected: message.replace(/^error: /, ""),
        });
    }
  }

  #suggestOption(flag: string): string {
    const name = flag.split("=", 1)[0] ?? flag;
    const known = [...this.options, ...(this.parent?.options ?? [])].flatMap((option) =>
      option.long === undefined ? [] : [option.long],
    );
    return (
      didYouMean(name, [...known, "--help"]) || ` See holdfast ${this.parent === null ? "" : `${this.name()} `}--help.`
    );
  }

  #suggestCommand(name: string): string {
    return (
      didYouMean(
        name,
        this.commands.map((command) => command.name()),
      ) || ` See holdfast ${this.parent === null ? "" : `${this.name()} `}--help.`
    );
  }
}

function longFlag(flags: string): string {
  return /--[\w-]+/.exec(flags)?.[0] ?? flags;
}

function valueHint(flags: string): string {
  return /<([^>]+)>/.exec(flags)?.[0] ?? "a value";
}
