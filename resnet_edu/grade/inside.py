"""What runs in the learner's kernel: it is imported before their code, and judges after it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from resnet_edu import checks
from resnet_edu.checks.check import Check

_CHECKS = {check.name: check for check in vars(checks).values() if isinstance(check, Check)}
_JUDGE = Check._judge


def seal() -> dict[tuple[str, str], int]:
    """The identity of all functions of the checks and of their code: what a prank would exchange."""
    found: dict[tuple[str, str], int] = {}
    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith("resnet_edu.checks"):
            continue
        for name, value in list(vars(module).items()):
            found[module_name, name] = id(value)
            members = vars(value).items() if isinstance(value, type) else [("", value)]
            for member, function in list(members):
                if isinstance(function, FunctionType):
                    found[module_name, f"{name}.{member}"] = id(function.__code__)
    return found


_SEAL = seal()


def close_network() -> None:
    """Let the kernel talk to this machine alone, as it must, and to no other."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise OSError("There is no network while sheets are marked.")
        connect(self, address)

    socket.socket.connect = local_only


def judge(name: str, names: dict[str, Any], to: str) -> None:
    """Write to the file `to` what the check of task `name` says of what the learner has defined."""
    said: dict[str, Any] = {"found": name in names}
    if said["found"]:
        answer = names[name]
        said["module"] = str(getattr(answer, "__module__", ""))
        verdict = _JUDGE(_CHECKS[name], answer)
        said |= {"passed": verdict.passed, "mistake": verdict.mistake, "message": verdict.message}
    said["sealed"] = all(_SEAL.get(key, value) == value for key, value in seal().items())
    Path(to).write_text(json.dumps(said), encoding="utf-8")
