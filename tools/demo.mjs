// `npm run demo` alone shows the fault: a small sweep, one worker killed. Arguments that choose
// another scale or another kind of run replace that; all others (`--json FILE`, `--workers 4`) add to it.
const given = process.argv.slice(2);
const chosen = given.some((argument) => /^--(scale|fault-demo|static|help)(=|$)/.test(argument) || argument === "-h");
process.argv.splice(2, given.length, "demo", ...(chosen ? [] : ["--scale", "small", "--fault-demo"]), ...given);
await import("../bin/holdfast.js");
