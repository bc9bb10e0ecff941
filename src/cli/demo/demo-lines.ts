/** The demo's screen, as lines of text made from data. Nothing here prints, waits or measures. */
import { box } from "../terminal/box.ts";
import { factLines } from "../terminal/facts.ts";
import { count, counted, duration } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import { textWidth, wrap } from "../terminal/text-width.ts";
import type { Takeover } from "./chunk-ledger.ts";
import { type DemoPlan, FAULT_AT_SHARE, FOLDS, VICTIM, workerTitle } from "./demo-plan.ts";
import type { Kill } from "./fault.ts";
import type { ClassifierSettings } from "./neighbour-classifier.ts";

type Look = Pick<Screen, "terminal" | "theme">;

export function bannerLines(look: Look, version: string, subtitle: string): string[] {
  const { theme, terminal } = look;
  const title = `Holdfast ${version}`;
  const oneLine = `${title} ${theme.signs.dot} ${subtitle}`;
  const lines =
    textWidth(oneLine) < terminal.columns
      ? [`${theme.title(title)} ${theme.faint(theme.signs.dot)} ${subtitle}`]
      : [theme.title(title), ...wrap(subtitle, terminal.columns - 1)];
  const ruleWidth = Math.min(60, terminal.columns - 1, Math.max(textWidth(oneLine), 40));
  return [...lines, theme.faint(theme.signs.rule.repeat(ruleWidth))];
}

export function configurationLines(look: Look, plan: DemoPlan, birds: number): string[] {
  const { signs } = look.theme;
  const fault = plan.fault ? `on: SIGKILL for Worker ${VICTIM} in mid-chunk at ${FAULT_AT_SHARE * 100}%` : "off";
  const mode =
    plan.mode === "static"
      ? "static: one fixed range per worker, no recovery"
      : "queue: chunks handed out as workers ask";
  const facts: readonly (readonly [string, string])[] = [
    ["Scale", plan.scale],
    ["Points", `${count(plan.points)} settings of a nearest-neighbour classifier`],
    ["Each point", `${FOLDS}-fold cross-validation ${signs.times} ${plan.repeats} on ${count(birds)} penguins`],
    ["Chunks", `${count(plan.chunks)}, each of ${counted(plan.chunkSize, "point")}`],
    ["Workers", counted(plan.workers, "process", "processes")],
    ["Hand-out", mode],
    ["Fault demo", fault],
    ["Seed", String(plan.seed)],
  ];
  return factLines(look, facts);
}

/** A sign and a sentence; further lines are indented below the sentence. */
export function signLines(look: Look, sign: string, sentence: string): string[] {
  const indent = textWidth(sign) + 1;
  const [first = "", ...rest] = wrap(sentence, look.terminal.columns - 1 - indent);
  return [`${sign} ${first}`, ...rest.map((line) => " ".repeat(indent) + line)];
}

export function checkLines(look: Look, sentence: string): string[] {
  return signLines(look, look.theme.good(look.theme.signs.check), sentence);
}

export function faultLines(look: Look, kill: Kill, survivors: number): string[] {
  const { theme, terminal } = look;
  const title = workerTitle(kill.worker);
  const headline = wrap(`${theme.signs.bolt} FAULT: killing ${title} ${theme.signs.bolt}`, terminal.columns - 1);
  const points = `points ${count(kill.chunk.start)}${theme.signs.dash}${count(kill.chunk.end - 1)}`;
  return [
    "",
    ...headline.map((line) => theme.warning(line)),
    ...signLines(
      look,
      theme.bad(theme.signs.cross),
      `${title} killed (SIGKILL, pid ${kill.pid}) ${duration(kill.intoChunkMs)} into its chunk of ${points}`,
    ),
    ...signLines(look, theme.active(theme.signs.arrow), survivorsContinue(survivors)),
  ];
}

export function survivorsContinue(survivors: number): string {
  return survivors === 1 ? "1 survivor continues" : `${survivors} survivors continue`;
}

export function takeoverLines(look: Look, takeover: Takeover, recoveryMs: number): string[] {
  const points = `Points ${count(takeover.start)}${look.theme.signs.dash}${count(takeover.end - 1)}`;
  return [
    ...checkLines(
      look,
      `${points} taken over by ${workerTitle(takeover.to)}, running again after ${count(recoveryMs)} ms`,
    ),
    "",
  ];
}

export function completionLines(
  look: Look,
  done: { readonly chunks: number; readonly points: number; readonly wallMs: number },
): string[] {
  const rate = Math.round((done.points * 1_000) / Math.max(1, done.wallMs));
  const seconds = (done.wallMs / 1_000).toFixed(1);
  return checkLines(look, `${counted(done.chunks, "chunk")} completed in ${seconds} s (${count(rate)} points/s)`);
}

export function bestLines(
  look: Look,
  best: { readonly settings: ClassifierSettings; readonly accuracy: number; readonly point: number },
): string[] {
  const { settings, accuracy, point } = best;
  const weights = settings.weights.map((weight) => weight.toFixed(2)).join(", ");
  const facts: readonly (readonly [string, string])[] = [
    [
      "Best point",
      `number ${count(point)}, ${(accuracy * 100).toFixed(2)}% of penguins told rightly by species and sex`,
    ],
    ["Settings", `k ${settings.k}, ${settings.distance} distance, ${settings.vote} votes, ${settings.scaling} scaling`],
    ["Weights", `${weights} (bill length, bill depth, flipper, mass)`],
  ];
  return factLines(look, facts);
}

export interface VerdictText {
  readonly passed: boolean;
  readonly headline: string;
  readonly details: readonly string[];
}

export function verdictLines(look: Look, verdict: VerdictText): string[] {
  const { theme, terminal } = look;
  const sign = verdict.passed ? theme.signs.check : theme.signs.cross;
  return box([`${sign} ${verdict.headline}`, ...verdict.details], {
    terminal,
    theme,
    paint: verdict.passed ? theme.good : theme.bad,
  });
}
