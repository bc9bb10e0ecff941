/** Option values, read strictly: whatever is not accepted is said with what was expected. */
import { Option } from "commander";
import { factsOf, flagName, type SettingName } from "../config/schema.ts";
import { HoldfastError } from "../errors/index.ts";

/** A flag that sets a setting; the settings schema describes and parses it. */
export function settingOption(name: SettingName, value: string): Option {
  const facts = factsOf(name);
  const byDefault = facts.defaultText === undefined ? "" : ` Default: ${facts.defaultText}.`;
  return new Option(`${flagName(name)} <${value}>`, `${facts.about}${byDefault}`.replaceAll("`", ""));
}

/** Of the commands that start a server. */
export function serverOptions(): readonly Option[] {
  return [
    settingOption("listenHost", "host"),
    settingOption("listenPort", "port"),
    settingOption("requireToken", "yes|no"),
    settingOption("tlsCert", "file"),
    settingOption("tlsKey", "file"),
    settingOption("trustProxy", "addresses"),
    settingOption("corsOrigins", "origins"),
    settingOption("auditLog", "file"),
  ];
}

/** Together with `--workers`: turns the workers off. */
export function noWorkersOption(): Option {
  return new Option("--no-workers", "No workers here; they come from elsewhere.");
}

export function wholeNumberOption(
  flag: string,
  range: { readonly min: number; readonly max: number },
): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= range.min && number <= range.max) return number;
    throw new HoldfastError("INVALID_OPTION", {
      option: flag,
      value: JSON.stringify(value),
      expected: `a whole number from ${range.min} to ${range.max}`,
    });
  };
}

export function numberOption(
  flag: string,
  range: { readonly above: number; readonly max: number },
): (value: string) => number {
  return (value) => {
    const number = value.trim() === "" ? Number.NaN : Number(value);
    if (number > range.above && number <= range.max) return number;
    const expected = `a number above ${range.above}, at most ${range.max}`;
    throw new HoldfastError("INVALID_OPTION", { option: flag, value: JSON.stringify(value), expected });
  };
}

export function choiceOption<const Value extends string>(
  flag: string,
  values: readonly Value[],
): (value: string) => Value {
  return (value) => {
    const found = values.find((known) => known === value);
    if (found !== undefined) return found;
    throw new HoldfastError("INVALID_OPTION", {
      option: flag,
      value: JSON.stringify(value),
      expected: `one of ${values.join(", ")}`,
    });
  };
}
