/**
 * Counts the words of some texts, one task per text. Every input is a task of its own, with its own
 * retries; the second text here is refused at first and succeeds at its second attempt.
 *
 *     npx holdfast run examples/batch.ts
 */
import { batch, defineTask } from "holdfast";
import { z } from "zod";

export const countWords = defineTask({
  name: "count-words",
  input: z.object({ title: z.string().min(1), text: z.string() }),
  retry: { limit: 2, base: "500ms" },
  run: ({ title, text }, ctx) => {
    if (title === "The flaky one" && ctx.attempt === 1) throw new Error("nobody could read this at first");
    const words = text.toLowerCase().match(/\p{Letter}+/gu) ?? [];
    const counts = new Map<string, number>();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    const [longest = ""] = [...counts.keys()].sort((a, b) => b.length - a.length);
    return { title, words: words.length, distinct: counts.size, longest };
  },
});

export default batch(countWords, [
  { title: "A promise", text: "Every task still ends, and its result is committed exactly once." },
  { title: "The flaky one", text: "Workers may die at any moment. Nothing is lost." },
  { title: "A name", text: "A holdfast is the root by which seaweed clings to its rock, whatever the sea does." },
]);
