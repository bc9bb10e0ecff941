import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { box } from "../../../src/cli/terminal/box.ts";
import { duration, percent, quantity } from "../../../src/cli/terminal/figures.ts";
import { liveRegion } from "../../../src/cli/terminal/live-region.ts";
import {
  plainProgressLine,
  progressBar,
  progressLine,
  type Progress,
} from "../../../src/cli/terminal/progress-line.ts";
import { RateMeter } from "../../../src/cli/terminal/rate-meter.ts";
import { openScreen } from "../../../src/cli/terminal/screen.ts";
import { table } from "../../../src/cli/terminal/table.ts";
import { detectTerminal, type Terminal } from "../../../src/cli/terminal/terminal.ts";
import { cut, printable, textWidth, wrap } from "../../../src/cli/terminal/text-width.ts";
import { themeFor } from "../../../src/cli/terminal/theme.ts";

const ESCAPE = "\u001b";
const plain = themeFor({ colour: false, unicode: true });

function terminal(columns: number): Terminal {
  return { interactive: true, colour: false, unicode: true, columns };
}

describe("what a terminal can do", () => {
  test("a pipe gets no colour, no redrawing and no wrapping", () => {
    assert.deepEqual(detectTerminal({}, { LANG: "en_US.UTF-8" }), {
      interactive: false,
      colour: false,
      unicode: true,
      columns: Infinity,
    });
  });

  test("NO_COLOR takes colour away, FORCE_COLOR gives it back", () => {
    const stream = { isTTY: true, columns: 80 };
    assert.equal(detectTerminal(stream, {}).colour, true);
    assert.equal(detectTerminal(stream, { NO_COLOR: "1" }).colour, false);
    assert.equal(detectTerminal(stream, { NO_COLOR: "" }).colour, true);
    assert.equal(detectTerminal(stream, { NO_COLOR: "1", FORCE_COLOR: "1" }).colour, true);
    assert.equal(detectTerminal({}, { FORCE_COLOR: "1" }).colour, true);
    assert.equal(detectTerminal(stream, { FORCE_COLOR: "0" }).colour, false);
  });

  test("a dumb terminal and the C locale get ASCII", () => {
    const stream = { isTTY: true, columns: 80 };
    assert.equal(detectTerminal(stream, { TERM: "dumb", LANG: "en_US.UTF-8" }).unicode, false);
    assert.equal(detectTerminal(stream, { TERM: "dumb" }).interactive, false);
    assert.equal(detectTerminal(stream, { LANG: "C" }).unicode, false);
    assert.equal(detectTerminal(stream, { LC_ALL: "C", LANG: "de_DE.UTF-8" }).unicode, false);
    assert.equal(detectTerminal(stream, { LANG: "C.utf8" }).unicode, true);
    assert.equal(detectTerminal(stream, {}).unicode, true);
  });

  test("no terminal counts as narrower than 20 columns", () => {
    assert.equal(detectTerminal({ isTTY: true, columns: 5 }, {}).columns, 20);
  });
});

describe("text on cells", () => {
  test("counts wide, combining and escaped characters by what they take", () => {
    assert.equal(textWidth("abc"), 3);
    assert.equal(textWidth("pingüino"), 8);
    assert.equal(textWidth("企鹅"), 4);
    assert.equal(textWidth("🐧"), 2);
    assert.equal(textWidth("e\u0301"), 1);
    assert.equal(textWidth(`${ESCAPE}[32m✓${ESCAPE}[39m`), 1);
  });

  test("cuts between characters and never beyond the room", () => {
    assert.equal(cut("penguin", 7), "penguin");
    assert.equal(cut("penguin", 4), "pen…");
    assert.equal(cut("企鹅企鹅", 4), "企…");
    assert.equal(cut("penguin", 0), "");
  });

  test("wraps at spaces, and cuts a word that is too long", () => {
    assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
    assert.deepEqual(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert.deepEqual(wrap("any length at all", Infinity), ["any length at all"]);
  });

  test("somebody else's text cannot move the cursor or break the line", () => {
    assert.equal(printable(`${ESCAPE}[2Jred\u0007\nalert\t!`), "red alert !");
  });
});

describe("figures", () => {
  test("durations", () => {
    assert.deepEqual([0, 999, 4_230, 44_000, 185_000, 7_800_000, 273_600_000].map(duration), [
      "0 ms",
      "999 ms",
      "4.2 s",
      "44 s",
      "3 min 5 s",
      "2 h 10 min",
      "3 d 4 h",
    ]);
    assert.equal(duration(9_980), "10 s");
    assert.equal(duration(120_000), "2 min");
  });

  test("a percentage is 100 only at the end and 0 only before the start", () => {
    assert.deepEqual(
      [percent(0, 1_000), percent(1, 1_000), percent(300, 1_000), percent(999, 1_000), percent(1_000, 1_000)],
      ["0%", "1%", "30%", "99%", "100%"],
    );
  });

  test("quantities keep about three figures", () => {
    assert.deepEqual([0, 0.424, 4.24, 42.4, 4_240].map(quantity), ["0", "0.42", "4.2", "42", "4,240"]);
  });

  test("the rate is over the last ten seconds, the rest follows from it", () => {
    const meter = new RateMeter();
    meter.record(0, 0);
    assert.equal(meter.ratePerSecond(), undefined);
    meter.record(1_000, 10);
    assert.equal(meter.ratePerSecond(), 10);
    assert.equal(meter.remainingMs(30), 2_000);
    meter.record(21_000, 10);
    meter.record(31_000, 10);
    assert.equal(meter.ratePerSecond(), 0);
    assert.equal(meter.remainingMs(30), undefined);
  });
});

describe("progress", () => {
  const progress: Progress = {
    done: 30,
    total: 100,
    unit: "chunks",
    ratePerSecond: 42,
    rateUnit: "points",
    elapsedMs: 7_000,
  };

  test("the bar has 20 cells and is full only at the end", () => {
    const bar = (done: number): string => progressBar(done, 100, { cells: 20, theme: plain });
    assert.equal(bar(0), "░".repeat(20));
    assert.equal(bar(30), "█".repeat(6) + "░".repeat(14));
    assert.equal(bar(99), "█".repeat(19) + "░");
    assert.equal(bar(100), "█".repeat(20));
  });

  test("at 80 columns everything is there", () => {
    assert.equal(
      progressLine(progress, terminal(80), plain),
      "██████░░░░░░░░░░░░░░  30/100 chunks (30%)  42 points/s  7.0 s",
    );
  });

  test("at every width from 20 up it fits on one line and says how far it is", () => {
    for (let columns = 20; columns <= 120; columns++) {
      const line = progressLine(
        { ...progress, done: 99_999, total: 100_000, remainingMs: 4_000 },
        terminal(columns),
        plain,
      );
      assert.ok(textWidth(line) < columns, `${columns}: ${line}`);
      assert.match(line, /99%/);
    }
  });

  test("a pipe gets the facts without a bar", () => {
    assert.equal(plainProgressLine(progress), "30/100 chunks (30%)  42 points/s  7.0 s");
  });

  test("in ASCII the bar is ASCII", () => {
    const line = progressLine(
      progress,
      { ...terminal(80), unicode: false },
      themeFor({ colour: false, unicode: false }),
    );
    assert.match(line, /^#{6}\.{14} {2}30\/100/);
  });
});

describe("box and table", () => {
  test("a box is as wide as its text, and never wider than the terminal", () => {
    for (let columns = 20; columns <= 100; columns += 5) {
      const lines = box(["✓ PASSED", "1,000 of 1,000 points, each committed exactly once"], {
        terminal: terminal(columns),
        theme: plain,
        paint: (text) => text,
      });
      const widths = new Set(lines.map(textWidth));
      assert.equal(widths.size, 1);
      assert.ok(Math.max(...widths) < columns, `${columns}: ${Math.max(...widths)}`);
    }
  });

  test("a table shrinks its shrinkable columns, then becomes blocks", () => {
    const columns = [{ title: "ID" }, { title: "NAME", shrinkTo: 6 }, { title: "DONE", align: "right" as const }];
    const rows = [["k3v9", "tune the penguin classifier", "10/100"]];
    const at = (width: number): string[] => table(columns, rows, { terminal: terminal(width), theme: plain });
    assert.deepEqual(at(80), [
      "ID    NAME                           DONE",
      "k3v9  tune the penguin classifier  10/100",
    ]);
    assert.deepEqual(at(30), ["ID    NAME               DONE", "k3v9  tune the pengu…  10/100"]);
    assert.deepEqual(at(20), ["ID    k3v9", "NAME  tune the pen…", "DONE  10/100"]);
  });
});

describe("redrawing", () => {
  test("erases exactly the lines it drew, and gives the cursor back", () => {
    const written: string[] = [];
    const region = liveRegion(
      (text) => written.push(text),
      () => terminal(80),
    );
    region.update(["one", "two"]);
    region.update(["one", "two"]);
    region.print("stays");
    region.close();
    region.close();
    assert.deepEqual(written, [
      `${ESCAPE}[?25lone\ntwo`,
      `\r${ESCAPE}[1A${ESCAPE}[0Jstays\none\ntwo`,
      `\r${ESCAPE}[1A${ESCAPE}[0J${ESCAPE}[?25h`,
      "",
    ]);
  });

  test("in a pipe nothing is drawn and nothing is escaped", () => {
    const written: string[] = [];
    const screen = openScreen({ write: (text) => written.push(text) }, {});
    screen.live(["working"]);
    screen.print(screen.theme.good("done"));
    screen.settle();
    assert.deepEqual(written, ["done\n"]);
  });
});
