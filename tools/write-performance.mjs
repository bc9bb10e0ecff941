// Puts figures of `npm run bench -- --json FILE` into docs/performance.md:
//   node tools/write-performance.mjs FILE
// and those of `npm run bench -- --peers --json FILE`:
//   node tools/write-performance.mjs --peers FILE
// and those of the measures that begin with http- or workflow- :
//   node tools/write-performance.mjs --http FILE
//   node tools/write-performance.mjs --workflows FILE
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";

const USAGE = "node tools/write-performance.mjs [--peers | --http | --workflows] FILE";
const SECTIONS = { "--peers": "peers", "--http": "http", "--workflows": "workflows" };
const names = process.argv.slice(2);
const section = SECTIONS[names[0]] ?? "figures";
const file = names[section === "figures" ? 0 : 1];
if (file === undefined) throw new Error(USAGE);

const figure = (value) => {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
};
const rows = JSON.parse(readFileSync(file, "utf8"));
const memoryGib = Math.round(os.totalmem() / 2 ** 30);
const machine =
  `Measured on ${os.availableParallelism()} × ${os.cpus()[0].model.trim()}, ${memoryGib} GiB, ${os.type()} ${os.release()}, ` +
  `Node ${process.versions.node}, SQLite ${process.versions.sqlite}`;

/** One line for each row. */
function figuresTable() {
  const lines = rows.map(
    ({ measure, system, setting, unit, median, min, max }) =>
      `| ${measure} | ${system} | ${setting} | ${figure(median)} | ${figure(min)} … ${figure(max)} | ${unit} |`,
  );
  return `| Measure | System | Setting | Median | Min … max | Unit |\n|---|---|---|---:|---:|---|\n${lines.join("\n")}`;
}

/** One line for each measure and setting, the systems side by side. */
function peersTable() {
  const systems = ["holdfast", "bullmq", "raw", "holdfast / bullmq", "holdfast / raw"];
  const settings = [...new Map(rows.map((row) => [`${row.measure} ${row.setting}`, row])).values()];
  const lines = settings.map(({ measure, setting }) => {
    const ofSetting = rows.filter((row) => row.measure === measure && row.setting === setting);
    const cells = systems.map((system) => {
      const row = ofSetting.find((candidate) => candidate.system === system);
      return row === undefined ? "–" : `${figure(row.median)} (${figure(row.min)} … ${figure(row.max)})`;
    });
    const { unit } = ofSetting.find(({ system }) => systems.slice(0, 3).includes(system));
    return `| ${measure}, ${unit} | ${setting} | ${cells.join(" | ")} |`;
  });
  const head = `| Measure | Setting | ${systems.join(" | ")} |\n|---|---|${"---:|".repeat(systems.length)}`;
  return `${head}\n${lines.join("\n")}`;
}

function redisVersion() {
  return /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
}

const withRedis = section === "peers" || section === "workflows" ? `, Redis ${redisVersion()}` : "";
const text = `${machine}${withRedis}.\n\n${section === "peers" ? peersTable() : figuresTable()}`;
const begin = `<!-- ${section}: begin -->`;
const end = `<!-- ${section}: end -->`;
const page = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const old = readFileSync(page, "utf8");
const before = old.slice(0, old.indexOf(begin) + begin.length);
const after = old.slice(old.indexOf(end));
writeFileSync(page, `${before}\n${text}\n${after}`);
