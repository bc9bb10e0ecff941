/**
 * Conditions that are texts: CEL (Common Expression Language) over `outputs` and `input`.
 *
 * CEL has no loops but over lists, and reaches nothing but its two variables. JSON's numbers are its
 * doubles; CEL itself would refuse `outputs.count + 1`, a double and an int, so arithmetic between the
 * two is added, with a double as its result.
 */
import { Environment } from "@marcbachmann/cel-js";

/** Bounds of one text. What a list of data makes of it is bounded by time alone (see `isCostly`). */
const MAX_LENGTH = 10_000;
const LIMITS = { maxAstNodes: 1_000, maxDepth: 50 } as const;

export interface ExpressionScope {
  /** Outputs of nodes by id. */
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly input: unknown;
}

export interface Expression {
  /** It goes through lists or matches patterns: how long it takes depends on the data, perhaps without end. */
  readonly isCostly: boolean;
  /** @throws Error with one line that says what is wrong, also when the result is no boolean. */
  judge(scope: ExpressionScope): boolean;
}

const ARITHMETIC: Readonly<Record<string, (left: number, right: number) => number>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
  "%": (left, right) => left % right,
};
const COSTLY = /\b(?:matches|all|exists|exists_one|map|filter)\s*\(/;

let environment: Environment | undefined;

/** @throws Error with one line that says what is wrong with the text. */
export function compileExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw new Error(`is longer than ${MAX_LENGTH} characters`);
  environment ??= makeEnvironment();
  const parsed = plainly(environment, (known) => known.parse(text));
  const { type, valid, error } = parsed.check();
  if (!valid) throw new Error(firstLine(error));
  if (type !== "bool" && type !== "dyn") throw new Error(`is a ${type}; expected true or false`);
  return {
    isCostly: COSTLY.test(text),
    judge: (scope) => {
      const result: unknown = plainly(scope, ({ outputs, input }) => parsed({ outputs, input }));
      if (typeof result !== "boolean") throw new Error(`is ${kindOf(result)}; expected true or false`);
      return result;
    },
  };
}

function makeEnvironment(): Environment {
  const made = new Environment({ homogeneousAggregateLiterals: false, enableOptionalTypes: true, limits: LIMITS })
    .registerVariable("outputs", "dyn")
    .registerVariable("input", "dyn");
  for (const [operator, compute] of Object.entries(ARITHMETIC)) {
    const onNumbers = (left: number | bigint, right: number | bigint): number => compute(Number(left), Number(right));
    made.registerOperator(`double ${operator} int: double`, onNumbers);
    made.registerOperator(`int ${operator} double: double`, onNumbers);
  }
  return made;
}

/** The library's messages draw the text with a mark below it; their first line says it all. */
function plainly<Subject, Result>(subject: Subject, action: (subject: Subject) => Result): Result {
  try {
    return action(subject);
  } catch (thrown) {
    throw new Error(firstLine(thrown), { cause: thrown });
  }
}

function firstLine(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.split("\n", 1)[0] ?? "";
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return "a text";
  if (typeof value === "number" || typeof value === "bigint") return "a number";
  return Array.isArray(value) ? "a list" : "an object";
}
