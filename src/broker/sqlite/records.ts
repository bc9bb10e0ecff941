/** Makes records of memory, for new rows (submit.ts) and for stored ones (load.ts). */
import { Heap } from "../../util/heap.ts";
import { bestOf, FIRST_PAGE_TASKS, rankedTasks } from "./lanes.ts";
import type {
  ArrayState,
  ExecutionRecord,
  GroupRecord,
  GroupSpec,
  ItemCounts,
  PoolRecord,
  WaitingRange,
} from "./model.ts";

export interface GroupFields {
  readonly execution: ExecutionRecord;
  readonly no: number;
  readonly first: number;
  readonly count: number;
  readonly spec: GroupSpec;
  readonly linked: boolean;
  readonly ranked: boolean;
  readonly pool: PoolRecord;
  readonly notBefore: number | undefined;
  readonly source: string | undefined;
  readonly array: ArrayState | undefined;
  readonly counts: ItemCounts;
}

export function newGroup(fields: GroupFields): GroupRecord {
  const { execution, no, first, spec, ranked, ...others } = fields;
  const group: GroupRecord = {
    ...others,
    execution,
    no,
    first,
    spec,
    ranked: ranked ? rankedTasks() : undefined,
    get best() {
      return bestOf(group);
    },
    executionKey: execution.no,
    priority: execution.priority,
    requires: [...spec.requires].sort(),
    specKey: `${execution.id}/${no}`,
    nextToRead: first,
    page: [],
    pageAt: 0,
    pageTasks: FIRST_PAGE_TASKS,
    again: new Heap<number>((task) => task),
    ranges: new Heap<WaitingRange>((range) => range.start),
    dirty: false,
  };
  return group;
}
