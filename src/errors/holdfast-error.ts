import { ERROR_CATALOGUE, type ErrorCode, type ErrorEntry } from "./catalogue.ts";

export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The one error class that crosses module borders. `code` is stable; `message` is one sentence made
 * from the catalogue's template and `details`.
 */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(fill(ERROR_CATALOGUE[code].message, details), options);
    this.code = code;
    this.details = details;
  }

  get entry(): ErrorEntry {
    return ERROR_CATALOGUE[this.code];
  }

  get retryable(): boolean {
    return this.entry.retryable;
  }

  get exitCode(): number {
    return this.entry.exitCode;
  }

  /** The plain form that travels over a wire; `fromWire` makes it an error again. */
  toWire(): WireError {
    return { code: this.code, details: this.details };
  }

  static fromWire(wire: WireError): HoldfastError {
    return Object.hasOwn(ERROR_CATALOGUE, wire.code)
      ? new HoldfastError(wire.code as ErrorCode, wire.details)
      : new HoldfastError("INTERNAL", { problem: `error ${wire.code}` });
  }

  /** Any thrown thing as a HoldfastError; what is not one already becomes INTERNAL. */
  static from(thrown: unknown): HoldfastError {
    if (thrown instanceof HoldfastError) return thrown;
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    return new HoldfastError("INTERNAL", { problem }, { cause: thrown });
  }

  static is(thrown: unknown, code?: ErrorCode): thrown is HoldfastError {
    return thrown instanceof HoldfastError && (code === undefined || thrown.code === code);
  }
}

export interface WireError {
  readonly code: string;
  readonly details: ErrorDetails;
}

function fill(template: string, details: ErrorDetails): string {
  return template
    .replace(/\{\{|\}\}|\{(\w+)\}/g, (found, name: string | undefined) =>
      name === undefined ? found.slice(1) : String(details[name] ?? ""),
    )
    .trimEnd();
}
