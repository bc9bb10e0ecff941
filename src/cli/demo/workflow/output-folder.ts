/** The folder of the report files, and the log that is written as the demo goes. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { HoldfastError } from "../../../errors/index.ts";
import { writeWhole } from "../../write-file.ts";
import { reportHtml } from "./report-html.ts";
import type { DemonstrationReport, ValidationReport } from "./report.ts";

export const FILES = {
  log: "demonstration.log",
  workerLog: "workers.log",
  validation: "validation_results.json",
  demonstration: "demonstration_results.json",
  summary: "summary.json",
  html: "report.html",
} as const;

export class OutputFolder {
  readonly path: string;
  readonly #now: () => number;
  readonly #echo: ((line: string) => void) | undefined;

  /**
   * Makes the folder and begins a new log in it. `echo` gets the lines of the log that nothing else shows.
   *
   * @throws HoldfastError INVALID_OPTION when nothing can be written there.
   */
  constructor(folder: string, options: { readonly now: () => number; readonly echo?: (line: string) => void }) {
    this.path = folder;
    this.#now = options.now;
    this.#echo = options.echo;
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(this.file("log"), "");
    } catch (thrown) {
      const expected = `a folder that can be written (${thrown instanceof Error ? thrown.message : String(thrown)})`;
      throw new HoldfastError("INVALID_OPTION", { option: "--output-dir", value: folder, expected }, { cause: thrown });
    }
  }

  file(name: keyof typeof FILES): string {
    return path.join(this.path, FILES[name]);
  }

  /** Lines of the log, with the time since the demo began. */
  log(...texts: readonly string[]): void {
    this.#write(texts, this.#echo);
  }

  /** The same for what the screen shows in its own words. */
  logShown(text: string): void {
    this.#write([text]);
  }

  #write(texts: readonly string[], echo?: (line: string) => void): void {
    if (texts.length === 0) return;
    const at = `${(this.#now() / 1_000).toFixed(3).padStart(9)} s`;
    const lines = texts.map((text) => `${at}  ${text}`);
    appendFileSync(this.file("log"), `${lines.join("\n")}\n`);
    for (const line of lines) echo?.(line);
  }

  async writeValidation(validation: ValidationReport): Promise<void> {
    await this.#json("validation", validation);
  }

  async writeDemonstration(report: DemonstrationReport, validation: ValidationReport | undefined): Promise<void> {
    await this.#json("demonstration", report);
    await this.#json("summary", summaryOf(report, validation));
    await writeWhole(this.file("html"), [reportHtml(report, validation)]);
  }

  async #json(name: keyof typeof FILES, value: unknown): Promise<void> {
    await writeWhole(this.file(name), [`${JSON.stringify(value, null, 2)}\n`]);
  }
}

/** For programs: the verdict and the figures, without the timeline. */
function summaryOf(report: DemonstrationReport, validation: ValidationReport | undefined): Record<string, unknown> {
  const { bars, kills, recoveries, phases, verdict, ...rest } = report;
  return {
    verdict,
    validation: validation === undefined ? null : { ok: validation.ok, checks: validation.checks.length },
    phasesDone: phases.filter(({ done }) => done).length,
    kills: kills.length,
    recoveries: recoveries.length,
    attempts: bars.length,
    ...rest,
  };
}
