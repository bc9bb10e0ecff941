/**
 * What stands, in a workflow's definition, for a value that is known only while it runs: a node's
 * output, the workflow's input, the item of a map, or something that lies in one of them.
 *
 * Brands are registered symbols: a program and its module of workflows may have loaded two copies of
 * this package.
 */
import type { InputRef, OutputRef } from "./node.ts";

export const REFERENCE_BRAND = Symbol.for("holdfast.reference");
export const NODE_BRAND = Symbol.for("holdfast.node");

/** Marks what the value will be for the compiler; no reference ever carries it. */
declare const VALUE: unique symbol;

export type PathStep = string | number;

/** Keys by which one may go on into a value of type T. */
export type StepInto<T> = unknown extends T
  ? PathStep
  : NonNullable<T> extends readonly unknown[]
    ? number
    : NonNullable<T> extends object
      ? Extract<keyof NonNullable<T>, PathStep>
      : never;

/** What lies there; in nothing lies nothing. */
export type At<T, Key> = unknown extends T
  ? unknown
  : null extends T
    ? In<NonNullable<T>, Key> | null
    : In<NonNullable<T>, Key>;

type In<T, Key> = T extends readonly (infer Item)[] ? Item : Key extends keyof T ? T[Key] : never;

/** Ways into a value of type T: none, or one to four keys; from there `at` goes on. */
export interface Ways<T> {
  (): Reference<T>;
  <A extends StepInto<T>>(a: A): Reference<At<T, A>>;
  <A extends StepInto<T>, B extends StepInto<At<T, A>>>(a: A, b: B): Reference<At<At<T, A>, B>>;
  <A extends StepInto<T>, B extends StepInto<At<T, A>>, C extends StepInto<At<At<T, A>, B>>>(
    ...path: [a: A, b: B, c: C]
  ): Reference<At<At<At<T, A>, B>, C>>;
}

/** Stands for the item of a map while its input is defined; `$input` in what travels. */
export interface ItemRef {
  readonly $item: readonly PathStep[];
}

/** Where a value of type T will stand. */
export interface ValueRef<T = unknown> {
  readonly [REFERENCE_BRAND]: OutputRef | InputRef | ItemRef;
  readonly [VALUE]?: T;
}

/** A node whose output will be of type T. */
export interface NodeRef<T = unknown> {
  readonly [NODE_BRAND]: object;
  readonly [VALUE]?: T;
  readonly id: string;
}

/** A value of type T that is there when the node that uses it starts. */
export interface Reference<T = unknown> extends ValueRef<T> {
  /** What lies in it: `tables.at(0, "name")`. */
  readonly at: Ways<T>;
}

/** A node of a workflow that is being defined. In an input it stands for its whole output. */
export interface NodeHandle<Output = unknown> extends NodeRef<Output> {
  /** Its output, or what lies in it: `api.output("testCases")`. */
  readonly output: Ways<Output>;
}

/** An output is a copy for each who uses it; whether a type lets it be changed makes no difference. */
export type Frozen<T> = unknown extends T ? T : T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

/** A value of type T, or one in which references stand for some or all of it. */
export type Fillable<T> =
  | ValueRef<Frozen<T>>
  | NodeRef<Frozen<T>>
  | (unknown extends T ? unknown : T extends object ? { readonly [Key in keyof T]: Fillable<T[Key]> } : T);

/** What a value becomes when its references are filled in. */
export type Filled<T> =
  T extends ValueRef<infer Value>
    ? Value
    : T extends NodeRef<infer Output>
      ? Output
      : T extends object
        ? { readonly [Key in keyof T]: Filled<T[Key]> }
        : T;

class Ref {
  readonly [REFERENCE_BRAND]: OutputRef | InputRef | ItemRef;

  constructor(ref: OutputRef | InputRef | ItemRef) {
    this[REFERENCE_BRAND] = ref;
  }

  at(...path: readonly PathStep[]): Ref {
    const ref = this[REFERENCE_BRAND];
    if ("$output" in ref) return new Ref({ $output: [...ref.$output, ...path] });
    return new Ref("$item" in ref ? { $item: [...ref.$item, ...path] } : { $input: [...ref.$input, ...path] });
  }
}

class Handle {
  readonly [NODE_BRAND]: object;
  readonly id: string;

  constructor(owner: object, id: string) {
    this[NODE_BRAND] = owner;
    this.id = id;
  }

  output(...path: readonly PathStep[]): Ref {
    return new Ref({ $output: [this.id, ...path] });
  }
}

/** `owner` is the same for all nodes of one workflow. */
export function nodeHandle<Output>(owner: object, id: string): NodeHandle<Output> {
  // The types of ways into a value are for those who write; what is there is one function.
  return new Handle(owner, id);
}

/** The input of the workflow that is being defined, or what lies in it. */
export function inputReference<T>(path: readonly PathStep[]): Reference<T> {
  return new Ref({ $input: path });
}

export function outputReference(path: OutputRef["$output"]): Reference {
  return new Ref({ $output: path });
}

export function itemReference<T>(path: readonly PathStep[]): Reference<T> {
  return new Ref({ $item: path });
}

export function isReference(value: unknown): value is ValueRef {
  return typeof value === "object" && value !== null && REFERENCE_BRAND in value;
}

export function isNodeHandle(value: unknown): value is NodeRef {
  return typeof value === "object" && value !== null && NODE_BRAND in value;
}
