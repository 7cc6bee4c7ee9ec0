"""A tool server over stdio that misbehaves on demand: its own JSON-RPC, no SDK, so that it can do what none would.

Run as `python scripted_mcp_program.py [MODE ...]`. A mode changes how it starts and lists; a tool what it is named for.
"""

import json
import os
import subprocess
import sys

MODES = set(sys.argv[1:])
HEARD: list[dict] = []
HELD: list[int] = []
STATE = {"description": "Say what was given."}
SCHEMA = {"type": "object"}


def write(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(number: int, result: object) -> None:
    write({"jsonrpc": "2.0", "id": number, "result": result})


def text(number: int, said: str, **more: object) -> None:
    answer(number, {"content": [{"type": "text", "text": said}], **more})


def notify(method: str, params: object = None) -> None:
    write({"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})})


def tool(name: str, description: object = "", **more: object) -> dict:
    return {"name": name, "description": description, "inputSchema": SCHEMA} | more


def list_tools(number: int, params: dict) -> None:
    cursor = params.get("cursor")
    if "endless" in MODES:
        answer(number, {"tools": [tool(f"t{cursor}")], "nextCursor": str(int(cursor or 0) + 1)})
    elif "circle" in MODES:
        answer(number, {"tools": [tool("t")], "nextCursor": "same"})
    elif "pages" in MODES and cursor is None:
        answer(number, {"tools": [tool("first")], "nextCursor": "2"})
    elif "pages" in MODES:
        answer(number, {"tools": [tool("second")]})
    elif "bad-schema" in MODES:
        broken = [tool("dict", inputSchema={"type": "dict"}), tool("text", inputSchema="x"), {"name": "none"}, {"a": 1}]
        odd = tool("odd", description=7, annotations="x", title=1, outputSchema={"type": "list"})
        answer(number, {"tools": [*broken, odd, tool("t")]})
    elif "no-list" in MODES:
        answer(number, {"tools": "t"})
    elif "twice" in MODES:
        answer(number, {"tools": [tool("t"), tool("t", "Another." if "other" in MODES else "")]})
    elif "tells" in MODES:
        answer(number, {"tools": [tool("t", f"Use the key {os.environ['KEY']}.")]})
    elif "no-tools" in MODES:
        write({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}})
    else:
        answer(number, {"tools": [tool("echo", STATE["description"], outputSchema={"type": "object"})]})


def call(number: int, params: dict) -> None:  # noqa: C901, PLR0912, PLR0915 - a table: one case, one misbehaviour
    name, given = params["name"], params.get("arguments", {})
    match name:
        case "echo":
            text(number, json.dumps(params), structuredContent={"given": given})
        case "environment":
            text(number, json.dumps(dict(os.environ)))
        case "fail":
            text(number, "no such thing", isError=True)
        case "error":
            write({"jsonrpc": "2.0", "id": number, "error": {"code": given["code"], "message": given["message"]}})
        case "blocks":
            answer(number, {"content": given["content"]})
        case "input":
            answer(number, {"resultType": "input_required", "requestState": "x"})
        case "malformed":
            answer(number, {"content": "no list"})
        case "line":
            sys.stdout.write(given["line"].replace("NUMBER", str(number)) + "\n")
            sys.stdout.flush()
        case "result":
            answer(number, given["result"])
        case "hang":
            pass
        case "heard":
            text(number, json.dumps([each for each in HEARD if each.get("method") == given["method"]]))
        case "replies":
            text(number, json.dumps([each for each in HEARD if "method" not in each]))
        case "large":
            text(number, "x" * given["size"])
        case "large-id-last":
            line = {"result": {"content": [{"type": "text", "text": "x" * given["size"]}]}, "id": number}
            write({**line, "jsonrpc": "2.0"})
        case "large-line":
            sys.stdout.write("x" * given["size"] + "\n")
            sys.stdout.flush()
        case "exit":
            os._exit(3)
        case "half":
            sys.stdout.write('{"jsonrpc": "2.0", "id"')
            sys.stdout.flush()
            os._exit(0)
        case "twice":
            text(number, "first")
            text(number, "second")
        case "other-id":
            text(number + 1000, "for somebody else")
        case "garbage":
            sys.stdout.write("Listening on port 1\n\x00\xff{}\n[]\n" + "[" * 100_000 + "\n")
            text(number, "done")
        case "flood":
            for _ in range(given["count"]):
                notify("notifications/message", {"level": "info", "data": "x"})
            text(number, "done")
        case "progress":
            notify("notifications/progress", {"progressToken": number, "progress": 1})
            notify("notifications/message", {"level": "error", "data": "x"})
            notify("notifications/nobody/knows", {"a": 1})
            text(number, "done")
        case "ask":
            for position, method in enumerate(given["methods"]):
                write({"jsonrpc": "2.0", "id": f"s{position}", "method": method, "params": given.get("params", {})})
            text(number, "asked")
        case "together":
            HELD.append(number)
            if len(HELD) == given["count"]:
                for each in HELD:
                    text(each, "together")
                HELD.clear()
        case "change":
            STATE["description"] = given["description"]
            if given.get("says"):
                notify("notifications/tools/list_changed")
            text(number, "changed")
        case "complain":
            sys.stderr.write(given["text"])
            sys.stderr.flush()
            os._exit(1)
        case _:
            write({"jsonrpc": "2.0", "id": number, "error": {"code": -32602, "message": f"Unknown tool: {name}"}})


def main() -> None:
    if "exit-at-start" in MODES:
        sys.exit("no licence")
    if "hang-at-start" in MODES:
        sys.stdin.read()
    if "with-child" in MODES:
        subprocess.Popen(["sleep", "60"])
    if "chatty" in MODES:
        sys.stdout.write("Welcome!\n\n")
    for line in sys.stdin:
        message = json.loads(line)
        HEARD.append(message)
        method, number = message.get("method"), message.get("id")
        if number is None or method is None:
            continue
        if method == "initialize":
            version = "1999-01-01" if "old" in MODES else message["params"]["protocolVersion"]
            answer(
                number,
                {
                    "protocolVersion": version,
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "s", "version": "1"},
                },
            )
        elif method == "tools/list":
            list_tools(number, message.get("params") or {})
        elif method == "tools/call":
            call(number, message["params"])
        else:
            write({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}})


if __name__ == "__main__":
    main()
