import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GraphJob, orderJobs } from "../../../src/core/job-graph.ts";

function job(id: string, dependsOn: readonly string[] = [], priority = 5): GraphJob {
  return { id, dependsOn, priority };
}

function orderOf(jobs: readonly GraphJob[]): readonly string[] {
  const { order, problems } = orderJobs(jobs);
  assert.deepEqual(problems, undefined);
  return (order ?? []).map((index) => jobs[index]?.id ?? "");
}

function problemsOf(jobs: readonly GraphJob[]): readonly string[] {
  return (orderJobs(jobs).problems ?? []).map(
    ({ job: index, dependency, problem }) => `${index}${dependency === undefined ? "" : `.${dependency}`} ${problem}`,
  );
}

describe("job graph", () => {
  it("puts every job after those that it depends on, and else keeps the order", () => {
    assert.deepEqual(orderOf([]), []);
    assert.deepEqual(orderOf([job("a"), job("b"), job("c")]), ["a", "b", "c"]);
    assert.deepEqual(
      orderOf([job("end", ["left", "right"]), job("left", ["top"]), job("right", ["top"]), job("top")]),
      ["top", "left", "right", "end"],
    );
  });

  it("takes the more urgent of those that could come next", () => {
    const jobs = [job("low", [], 1), job("high", [], 10), job("after-low", ["low"], 10), job("mid", [], 5)];
    assert.deepEqual(orderOf(jobs), ["high", "mid", "low", "after-low"]);
  });

  it("takes a dependency that is named twice as one", () => {
    assert.deepEqual(orderOf([job("b", ["a", "a"]), job("a")]), ["a", "b"]);
  });

  it("tells everything that is wrong at once", () => {
    const jobs = [job("a", ["a"]), job("b", ["nowhere", "c"]), job("c", ["b"]), job("a"), job("free")];
    assert.deepEqual(problemsOf(jobs), [
      '3 is "a", as is the id of jobs[0]; ids must differ',
      '0.0 is "a": a job cannot depend on itself',
      '1.0 is "nowhere", and there is no such job',
      "1.1 closes a cycle: b waits for c waits for b",
    ]);
  });

  it("tells each cycle once, and not the jobs that come after it", () => {
    const jobs = [
      job("x", ["y"]),
      job("y", ["z"]),
      job("z", ["x"]),
      job("after", ["x"]),
      job("p", ["q"]),
      job("q", ["p"]),
      job("fine"),
    ];
    assert.deepEqual(problemsOf(jobs), [
      "0.0 closes a cycle: x waits for y waits for z waits for x",
      "4.0 closes a cycle: p waits for q waits for p",
    ]);
  });

  it("shortens what is long", () => {
    const ring = Array.from({ length: 100 }, (_, at) => job(`job-${at}`, [`job-${(at + 1) % 100}`]));
    const [problem = ""] = problemsOf(ring);
    assert.match(problem, /job-0 waits for job-1 .* … 90 more waits for job-0$/);
  });

  it("orders ten thousand jobs in a line, a fan and a ring within a moment", () => {
    const count = 10_000;
    const line = Array.from({ length: count }, (_, at) => job(`${at}`, at === 0 ? [] : [`${at - 1}`]));
    assert.equal(orderOf(line.toReversed())[0], "0");
    const fan = [
      job(
        "last",
        Array.from({ length: count - 1 }, (_, at) => `${at}`),
      ),
      ...line.slice(0, -1),
    ];
    assert.equal(orderOf(fan).at(-1), "last");
    const ring = line.map((one, at) => (at === 0 ? job("0", [`${count - 1}`]) : one));
    assert.equal(problemsOf(ring).length, 1);
  });
});
