// Step of the test commands: the tests start Redis servers of their own, so the program has to be
// there. Where it is missing it is installed, without a service that would start; where that is not
// possible the tests stop here, with a sentence, and are not skipped.
import { spawnSync } from "node:child_process";

const OLDEST = { major: 6, minor: 2 };
const INSTALL_LIMIT_MS = 300_000;

// A policy that answers 101 keeps the package from starting its server; and at the next start of
// the machine it shall not either. A policy that is already there is somebody's, and is left alone.
const APT_SCRIPT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends redis-server; }
install || { apt-get update && install; } || exit 1
if command -v systemctl >/dev/null; then systemctl disable redis-server || true; fi
`;

const named = process.env.TEST_REDIS_SERVER;
const problem = named === undefined ? ensureInstalled() : problemWith(named, `TEST_REDIS_SERVER names ${named}, which`);
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

/** What is wrong, as a sentence, or nothing. */
function ensureInstalled() {
  if (versionOf("redis-server") === undefined) install();
  return problemWith("redis-server", "The tests start redis-server, which");
}

function problemWith(program, subject) {
  const version = versionOf(program);
  const advice =
    `install Redis ${OLDEST.major}.${OLDEST.minor} or newer (apt-get install redis-server, dnf install redis, ` +
    "brew install redis), or name another program in TEST_REDIS_SERVER, and try again.";
  if (version === undefined) return `${subject} does not run here: ${advice}`;
  const isOld = version.major < OLDEST.major || (version.major === OLDEST.major && version.minor < OLDEST.minor);
  return isOld ? `${subject} is ${version.major}.${version.minor} here: ${advice}` : undefined;
}

function versionOf(program) {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  const found = status === 0 ? /\bv=(\d+)\.(\d+)/.exec(stdout) : null;
  return found === null ? undefined : { major: Number(found[1]), minor: Number(found[2]) };
}

/** Does what it can; whether it worked is seen afterwards. */
function install() {
  if (process.platform === "darwin" && runs("brew", ["--version"])) attempt("brew", ["install", "redis"]);
  if (process.platform !== "linux" || !runs("apt-get", ["--version"])) return;
  if (process.getuid() === 0) attempt("sh", ["-c", APT_SCRIPT]);
  else if (runs("sudo", ["-n", "true"])) attempt("sudo", ["-n", "sh", "-c", APT_SCRIPT]);
}

function runs(program, args) {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

/** Shows what the installer said only when it failed. */
function attempt(program, args) {
  process.stderr.write("Installing redis-server, which the tests start …\n");
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: INSTALL_LIMIT_MS });
  if (status !== 0) process.stderr.write(`${stdout}${stderr}\n`);
}
