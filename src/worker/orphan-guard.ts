/**
 * Kills runners whose supervisor has died.
 *
 * A runner notices by itself that its supervisor is gone, because the wire closes; but not while
 * user code blocks its event loop. So each worker has one guard: a shell (1 MB, starts in 4 ms)
 * that knows the runners' process groups, told through its standard input. When the supervisor
 * dies, however it dies, that pipe closes and the guard kills what is left, within milliseconds. A
 * watchdog thread in every runner that polls for its parent was measured first: 60 ms of CPU and
 * 10 MB of private memory per runner.
 *
 * The guard is in a process group of its own, so that a signal to the worker's group spares it. If
 * the guard itself dies it is started again. Without /bin/sh (a distroless container, where the
 * supervisor is the first process and takes everything along) and on Windows (where child processes
 * are in the supervisor's job object) there is no guard and none is needed.
 */
import { type ChildProcess, spawn } from "node:child_process";

/** Keeps the list of groups in a shell variable; lines are `+pid` and `-pid`. */
const SCRIPT = `
groups=" "
while read -r line; do
  pid="\${line#?}"
  case "$line" in
    +*) groups="$groups$pid " ;;
    -*) case "$groups" in *" $pid "*) groups="\${groups%%" $pid "*} \${groups#*" $pid "}" ;; esac ;;
  esac
done
for pid in $groups; do kill -s KILL -- "-$pid" 2>/dev/null; done
`;

/** A guard that dies more often than this is not started again. */
const MAX_STARTS = 5;

export class OrphanGuard {
  readonly #groups = new Set<number>();
  #shell: ChildProcess | undefined;
  #starts = 0;
  #closed = false;

  /** Starts it ahead of the first group, so that none is alone while it starts. */
  warmUp(): void {
    if (this.#shell === undefined) this.#start();
  }

  /** The process group `pid` is to die with this process. */
  add(pid: number): void {
    this.#groups.add(pid);
    if (this.#shell === undefined) this.#start();
    else this.#tell(`+${pid}\n`);
  }

  remove(pid: number): void {
    if (this.#groups.delete(pid)) this.#tell(`-${pid}\n`);
  }

  close(): void {
    this.#closed = true;
    this.#shell?.stdin?.end();
    this.#shell?.unref();
  }

  #start(): void {
    if (process.platform === "win32" || this.#closed || this.#starts >= MAX_STARTS) return;
    this.#starts += 1;
    const shell = spawn("/bin/sh", ["-c", SCRIPT, "holdfast-orphan-guard"], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#shell = shell;
    shell.once("error", () => {
      this.#starts = MAX_STARTS; // there is no shell here
    });
    shell.once("exit", () => {
      if (this.#shell === shell) this.#shell = undefined;
      if (this.#groups.size > 0) this.#start();
    });
    shell.stdin.on("error", () => {
      // Its end is told by "exit".
    });
    shell.unref();
    this.#tell([...this.#groups].map((pid) => `+${pid}\n`).join(""));
  }

  #tell(lines: string): void {
    this.#shell?.stdin?.write(lines);
  }
}
