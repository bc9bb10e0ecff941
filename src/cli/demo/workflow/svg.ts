/** Pieces of SVG and HTML as text. */

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign] ?? sign);
}

/** An element with its attributes; `inside` is markup, not text. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  inside: string | readonly string[] = "",
): string {
  const written = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === "number" ? rounded(value) : escaped(value)}"`,
  );
  return `<${name}${written.join("")}>${typeof inside === "string" ? inside : inside.join("")}</${name}>`;
}

/** Text that appears when one points at the element around it. */
export function tip(text: string): string {
  return element("title", {}, escaped(text));
}

export function label(
  text: string,
  place: {
    readonly x: number;
    readonly y: number;
    readonly class?: string;
    readonly anchor?: "start" | "middle" | "end";
  },
): string {
  return element(
    "text",
    { x: place.x, y: place.y, class: place.class ?? "label", "text-anchor": place.anchor ?? "start" },
    escaped(text),
  );
}

/** A tenth of a pixel is enough. */
function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Steps of a time axis: 1, 2 or 5 times a power of ten, about `wanted` of them. */
export function axisStep(lengthMs: number, wanted: number): number {
  const rough = Math.max(1, lengthMs / wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? 10 * power;
}
