"""A Holdfast worker with nothing but Python's standard library. See docs/http-workers.md."""
import http.client, json, os, signal, socket, threading, time, traceback, urllib.error, urllib.parse, urllib.request

URL = os.environ["HOLDFAST_URL"].rstrip("/") + "/api/v1"
ID = os.environ.get("WORKER_ID", f"{socket.gethostname()}-{os.getpid()}")
ME = "/workers/" + urllib.parse.quote(ID, safe="")
PROFILE = {"workerId": ID, "hostname": socket.gethostname(), "pid": os.getpid(), "maxConcurrency": 1,
           "capabilities": ["cpu"], "pools": os.environ.get("POOLS", "jobs").split(",")}
TOKEN = os.environ.get("HOLDFAST_TOKEN")  # none is needed on the server's own machine
HEADERS = {"content-type": "application/json", **({"authorization": f"Bearer {TOKEN}"} if TOKEN else {})}
running, leaving = "", threading.Event()  # the lease in hand; somebody wants this worker to go

def call(method, path, body):
    """Status and reply. Every call may be sent again, so it is until the server is back."""
    while True:
        request = urllib.request.Request(URL + path, json.dumps(body).encode(), HEADERS, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            if refusal.code < 500 and refusal.code != 429: return refusal.code, json.load(refusal)
        except (OSError, http.client.HTTPException, ValueError): pass
        time.sleep(1)

def register():
    status, reply = call("POST", "/workers/register", PROFILE)
    return reply["heartbeatMs"] / 1000 if status == 200 else os._exit(print(reply["error"], flush=True) or 1)

def heartbeat(every):
    while not time.sleep(every):  # a worker that is silent for long is taken for dead
        _, reply = call("POST", ME + "/heartbeat", {"currentLoad": 1 if running else 0})
        if any(running.startswith(beginning) for beginning in reply.get("cancel", [])):
            os.kill(os.getpid(), signal.SIGUSR1)

def stop(*_):  # in the middle of a task that was cancelled
    if running: raise InterruptedError("stopped")

def run(task, value):  # what this worker can do: put your own here
    config = value.get("config", value) if isinstance(value, dict) else value  # jobs of /execute have it in there
    return {"echo": lambda: config, "square": lambda: config["x"] ** 2, "sleep": lambda: time.sleep(config["s"]),
            "flaky": lambda: 1 / (task["attempt"] - 1)}[task["type"]]()

signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, lambda *_: leaving.set())
threading.Thread(target=heartbeat, args=[register()], daemon=True).start()
while not leaving.is_set():
    status, reply = call("POST", ME + "/claim", {"wait": "5s", "holding": []})
    if status == 404: register()  # the server had given this worker up
    if reply.get("drain"): leaving.set()
    for task in reply.get("tasks", []):
        try:
            running = task["lease"]
            assert "problem" not in task, task["problem"]
            results = [run(task, value) for value in task.get("inputs") or [task["input"]]]  # inputs: a range of an array
            done = {"values": results} if "inputs" in task else {"result": results[0]}
        except Exception as thrown:
            done = {"error": {"message": str(thrown) or "failed", "stack": traceback.format_exc()}}
        running = ""
        call("POST", ME + ("/fail" if "error" in done else "/complete"), {"lease": task["lease"], **done})  # 409: too late
call("DELETE", ME, {})
