/** Samples of all rounds, put together; and Holdfast against each other system, round by round. */
import type { Row } from "../measure.ts";
import { spreadOf } from "../statistics.ts";

/** One number that one turn of one system gave. */
export interface Figure {
  readonly measure: string;
  readonly system: string;
  readonly unit: string;
  readonly value: number;
  readonly note?: string;
}

export interface PeerSample extends Figure {
  /** `aof=no`, `aof=everysec`, `aof=always`. */
  readonly setting: string;
  readonly round: number;
}

const SUBJECT = "holdfast";
const OTHERS = ["bullmq", "raw"];

/** Rows measure by measure, in the order in which `measures` names them. */
export function rowsOf(samples: readonly PeerSample[], measures: readonly string[]): Row[] {
  return measures.flatMap((measure) => {
    const ofMeasure = samples.filter((sample) => sample.measure === measure);
    const all = [...ofMeasure, ...OTHERS.flatMap((other) => ratiosTo(other, ofMeasure))];
    return [...Map.groupBy(all, ({ system, setting }) => `${setting} ${system}`).values()].flatMap(rowOf);
  });
}

/** A ratio compares two neighbours in time, so the machine's good and bad minutes cancel out. */
function ratiosTo(other: string, samples: readonly PeerSample[]): PeerSample[] {
  return samples.flatMap((subject) => {
    if (subject.system !== SUBJECT) return [];
    const { measure, setting, round } = subject;
    const beside = samples.find(
      (sample) => sample.system === other && sample.setting === setting && sample.round === round,
    );
    if (beside === undefined) return [];
    const value = subject.value / beside.value;
    return [{ measure, setting, round, system: `${SUBJECT} / ${other}`, unit: "ratio", value }];
  });
}

function rowOf(samples: readonly PeerSample[]): Row[] {
  const [first] = samples;
  if (first === undefined) return [];
  const { measure, system, setting, unit, note } = first;
  const spread = spreadOf(samples.map(({ value }) => value));
  return [
    { measure, system, setting, unit, ...spread, rounds: samples.length, ...(note === undefined ? {} : { note }) },
  ];
}
