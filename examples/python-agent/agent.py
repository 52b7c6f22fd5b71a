"""A small agent that can fall ill: it greets, reports, updates itself and asks its model.

    python agent.py            works until it is stopped, one task file at a time
    python agent.py --check    does each kind of work once; exit 0 means healthy
"""

import json
import logging
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
TASKS = HERE / "tasks"

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s [agent] %(message)s", stream=sys.stdout)
log = logging.getLogger("agent")


def work(task: str) -> str:
    from friendly import greeting  # pinned in requirements.txt

    from report import Report

    settings = json.loads((HERE / "settings.json").read_text())
    if task == "report":
        return Report(settings["title"]).summary(settings["items"])
    if task == "update":
        return update()
    if task == "ask":
        return ask("What is the capital of France?")
    return greeting(settings["name"])


def ask(question: str) -> str:
    """Asks its model, and writes down the answer as it comes."""
    body = {"model": "big-model", "stream": True, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none")},
    )
    text = ""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(event["error"]["message"])
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
    (HERE / "answer.txt").write_text(text)
    return text


def update() -> str:
    pulled = subprocess.run(["git", "pull", "--ff-only"], cwd=HERE, capture_output=True, text=True)
    if pulled.returncode != 0:
        for line in (pulled.stdout + pulled.stderr).splitlines():
            log.error("git: %s", line)
        return "update failed"
    return "up to date"


def main() -> None:
    if "--check" in sys.argv:
        print(work("greet"), "|", work("report"))
        return
    log.info("agent starts with %s", work("greet"))
    TASKS.mkdir(exist_ok=True)
    while True:
        for task in sorted(TASKS.iterdir()):
            name = task.read_text().strip()
            log.info("task %s: %s", task.name, work(name))
            task.unlink()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
