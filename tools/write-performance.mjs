// Puts figures of `npm run bench -- --json FILE` into docs/performance.md:
//   node tools/write-performance.mjs FILE
import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";

const BEGIN = "<!-- figures: begin -->";
const END = "<!-- figures: end -->";
const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("node tools/write-performance.mjs FILE");

const figure = (value) => {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
};
const rows = JSON.parse(readFileSync(file, "utf8")).map(
  ({ measure, system, setting, unit, median, min, max }) =>
    `| ${measure} | ${system} | ${setting} | ${figure(median)} | ${figure(min)} … ${figure(max)} | ${unit} |`,
);
const memoryGib = Math.round(os.totalmem() / 2 ** 30);
const machine =
  `Measured on ${os.availableParallelism()} × ${os.cpus()[0].model.trim()}, ${memoryGib} GiB, ${os.type()} ${os.release()}, ` +
  `Node ${process.versions.node}, SQLite ${process.versions.sqlite}.`;
const head = "| Measure | System | Setting | Median | Min … max | Unit |\n|---|---|---|---:|---:|---|";

const page = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const text = readFileSync(page, "utf8");
const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
const after = text.slice(text.indexOf(END));
writeFileSync(page, `${before}\n${machine}\n\n${head}\n${rows.join("\n")}\n${after}`);
