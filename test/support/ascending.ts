/** The numbers in ascending order, as numbers. */
export function ascending(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((left, right) => left - right);
}
