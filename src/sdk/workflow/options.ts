/** What can be said about the nodes of a workflow. */
import type { Duration } from "../../util/units.ts";
import type { Priority, RetryOptions, TaskDefinition } from "../task.ts";
import type { Fillable, Frozen, NodeRef, Reference, ValueRef } from "./reference.ts";
import type { ConditionCode } from "./spec.ts";

export type OnSkip = "skip" | "release";
export type OnFailure = "fail" | "continue" | "compensate";

/** What is there for nodes after it: `null`, too, where they go on without its output. */
export type Given<Output, Skip extends OnSkip, Fail extends OnFailure> = "release" extends Skip
  ? Output | null
  : "continue" extends Fail
    ? Output | null
    : Output;

/** Options of every node. */
export interface NodeOptions<Skip extends OnSkip = OnSkip, Fail extends OnFailure = OnFailure> {
  /** Nodes that must have completed first. */
  readonly after?: readonly NodeRef[];
  /** The class of workers that runs it. Default: its task's pool, else the workflow's, else `default`. */
  readonly pool?: string;
  /** Capabilities that a worker must all have. Default: its task's. */
  readonly requires?: readonly string[];
  /** Of nodes that are ready, those with a higher one start first; among equals those with the longest way to the end. Default: its task's. */
  readonly priority?: Priority;
  /** How long it is thought to take, for the critical path, until it was measured. Default 1 s; what only waits: 0. */
  readonly estimate?: Duration;
  /** Whether it runs: a function of the outputs before it and its own input, or the same in CEL. Default: it does. */
  readonly condition?: ConditionCode | string;
  /** What it means to nodes after it when its condition is false: they are skipped too, or go on without its output. Default `skip`. */
  readonly onSkip?: Skip;
  /**
   * When it has failed for good. `fail` (default): what comes after it is skipped, and the workflow fails.
   * `continue`: what comes after it goes on, with `null` for its output. `compensate`: as `fail`, and then what
   * has completed is undone.
   */
  readonly onFailure?: Fail;
}

/** Options of nodes that run a task or a program. */
export interface RunOptions<Skip extends OnSkip = OnSkip, Fail extends OnFailure = OnFailure> extends NodeOptions<
  Skip,
  Fail
> {
  /** Default: its task's, else 3 retries after 5, 10 and 20 s. */
  readonly retry?: number | RetryOptions;
  /** Per attempt. Default: its task's, else no limit. */
  readonly timeout?: Duration;
  /** Undoes what it has done, with `{ input, output }` of it; runs when a node with `onFailure: "compensate"` has failed. */
  readonly compensate?: TaskDefinition;
}

/** Nodes by the name under which their outputs are part of the input. */
export type NamedNodes<Input> = unknown extends Input
  ? Readonly<Record<string, NodeRef>>
  : { readonly [Key in keyof Input]?: NodeRef<Frozen<Input[Key]>> };

/** What an input still needs when the nodes in `After` have given theirs. */
export type Remaining<Input, After> = unknown extends Input
  ? unknown
  : After extends readonly unknown[]
    ? Input
    : Input extends object
      ? Omit<Input, keyof After>
      : Input;

export type InputOption<Rest> = unknown extends Rest
  ? { readonly input?: Fillable<Rest> }
  : null extends Rest
    ? { readonly input?: Fillable<Rest> }
    : Rest extends object
      ? object extends Rest
        ? { readonly input?: Fillable<Rest> }
        : { readonly input: Fillable<Rest> }
      : { readonly input: Fillable<Rest> };

/**
 * Options of a node that has an input. `after` as a record merges each node's output into the input under
 * its name; what the input needs beyond them is in `input`, where outputs of nodes may stand anywhere.
 */
export type InputOptions<Input, After, Skip extends OnSkip, Fail extends OnFailure> = Omit<
  RunOptions,
  "after" | "onSkip" | "onFailure"
> & {
  readonly onSkip?: Skip;
  readonly onFailure?: Fail;
  readonly after?: After & (After extends readonly unknown[] ? readonly NodeRef[] : NamedNodes<Input>);
} & InputOption<Remaining<Input, After>>;

/** The options may be left out where the input needs nothing. */
export type InputArguments<Input, After, Skip extends OnSkip, Fail extends OnFailure> = unknown extends Input
  ? [options?: InputOptions<Input, After, Skip, Fail>]
  : null extends Input
    ? [options?: InputOptions<Input, After, Skip, Fail>]
    : object extends Input
      ? [options?: InputOptions<Input, After, Skip, Fail>]
      : [options: InputOptions<Input, After, Skip, Fail>];

export interface CommandOptions<
  Output extends CommandOutput = "text",
  Skip extends OnSkip = OnSkip,
  Fail extends OnFailure = OnFailure,
> extends RunOptions<Skip, Fail> {
  /** Given to the program as JSON on its standard input. Outputs of nodes may stand in it. */
  readonly input?: unknown;
  /** Default: the folder of the module or file that defines the workflow. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How its standard output becomes the node's output. Default `text`, without the last line break. */
  readonly output?: Output;
}

export type CommandOutput = "text" | "json" | "lines" | "none";

export type OutputOfCommand<Output extends CommandOutput> = {
  readonly text: string;
  readonly json: unknown;
  readonly lines: readonly string[];
  readonly none: null;
}[Output];

/** What a map gives: `null` for items that failed, where they may. */
export type Outputs<Output, Skip extends OnSkip, Fail extends OnFailure, Go extends boolean> = Given<
  readonly (true extends Go ? Output | null : Output)[],
  Skip,
  Fail
>;

/** A list that is there when the node starts. */
export type ListOf<Item> =
  | ValueRef<readonly Frozen<Item>[]>
  | NodeRef<readonly Frozen<Item>[]>
  | readonly Fillable<Item>[];

export interface MapOptions<
  Item,
  Skip extends OnSkip = OnSkip,
  Fail extends OnFailure = OnFailure,
  Go extends boolean = boolean,
> extends RunOptions<Skip, Fail> {
  /** The list: of a node's output, or written out. At most 20,000 items. */
  readonly over: ListOf<Item>;
  /** Items that fail for good become `null` in the list instead of failing the node. Default false. */
  readonly continueOnFailure?: Go;
}

export interface MapInputOptions<
  Item,
  Input,
  Skip extends OnSkip = OnSkip,
  Fail extends OnFailure = OnFailure,
  Go extends boolean = boolean,
> extends MapOptions<Item, Skip, Fail, Go> {
  /** The input of each run, made of the item. Default: the item itself. */
  readonly input: (item: Reference<Item>) => Fillable<Input>;
}

export interface SignalOptions extends NodeOptions {
  /** The signal's name in the execution. Default: the node's id, with those of the sub-workflows and maps that it lies in. */
  readonly name?: string;
  /** Default: it waits for ever. */
  readonly timeout?: Duration;
  /** When the time is over. Default `fail`; `continue`: the output is `null`. */
  readonly onTimeout?: "fail" | "continue";
}
