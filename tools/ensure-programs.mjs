// Step of the test commands: the examples of workers in other languages are run as they stand in the
// documentation, by the programs that they name. What is missing is installed where that is possible;
// else the tests stop here, with a sentence, and are not skipped.
import { spawnSync } from "node:child_process";

const PROGRAMS = ["bash", "curl", "jq", "python3"];
const INSTALL_LIMIT_MS = 300_000;

const missing = PROGRAMS.filter(isMissing);
if (missing.length > 0) {
  install(missing);
  const still = missing.filter(isMissing);
  if (still.length > 0) {
    process.stderr.write(`The tests run examples with ${still.join(", ")}: install what is missing, and try again.\n`);
    process.exit(1);
  }
}

function isMissing(program) {
  return !runs(program, ["--version"]);
}

/** Does what it can; whether it worked is seen afterwards. */
function install(programs) {
  const apt = ["apt-get", "-o", "DPkg::Lock::Timeout=60", "install", "-y", "--no-install-recommends", ...programs];
  if (process.platform === "darwin" && runs("brew", ["--version"])) attempt(["brew", "install", ...programs]);
  else if (process.platform !== "linux" || !runs("apt-get", ["--version"])) return;
  else if (process.getuid() === 0) attempt(apt);
  else if (runs("sudo", ["-n", "true"])) attempt(["sudo", "-n", ...apt]);
}

function runs(program, args) {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

/** Shows what the installer said only when it failed. */
function attempt([program, ...args]) {
  process.stderr.write(`Installing ${missing.join(", ")}, which the tests run …\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: "utf8", timeout: INSTALL_LIMIT_MS });
  if (status !== 0) process.stderr.write(`${stdout}${stderr}\n`);
}
