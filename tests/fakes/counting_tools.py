"""A tool server of an agent's folder for tests: MCP over stdio in plain Python, so that it starts at once.

Every call that reaches it leaves a line `<tool> <key>` in the file `EFFECTS`; `put` honours its key.
"""

PROGRAM = """\
import json
import os
import sys
import time

EFFECTS = os.environ["EFFECTS"]
SCHEMA = {"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"], "additionalProperties": False}
NAMES = ("look", "put", "pay", "linger")
TOOLS = [{"name": name, "description": f"Do {name}.", "inputSchema": SCHEMA} for name in NAMES]


def done():
    try:
        with open(EFFECTS) as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def call(params):
    name, key = params["name"], params.get("_meta", {}).get("goldgate.dev/idempotency-key", "none")
    line = f"{name} {key}"
    if not (name == "put" and line in done()):
        with open(EFFECTS, "a") as file:
            file.write(line + "\\n")
            file.flush()
            os.fsync(file.fileno())
    if name == "linger":
        time.sleep(30)
    return {"content": [{"type": "text", "text": f"{name} done"}], "isError": False}


def answer(request):
    match request["method"]:
        case "initialize":
            return {
                "protocolVersion": request["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "counting", "version": "1"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return call(request["params"])
        case "ping":
            return {}
    return None


for text in sys.stdin:
    request = json.loads(text)
    if "id" not in request:
        continue
    result = answer(request)
    head = {"jsonrpc": "2.0", "id": request["id"]}
    error = {"code": -32601, "message": "Method not found"}
    print(json.dumps({**head, "error": error} if result is None else {**head, "result": result}), flush=True)
"""
