"""Once installed, nothing leaves the machine.

The whole system runs in a network namespace whose only way out is a cable to nowhere, which counts what is sent to it,
by whatever library: name look-ups, telemetry, hubs.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
set -e
ip link set lo up
ip link add away type veth peer name beyond
for link in away beyond; do
    sysctl -qw net.ipv6.conf.$link.disable_ipv6=1
    ip link set $link up
done
ip addr add 192.0.2.1/24 dev away
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev away nud permanent
ip route add default via 192.0.2.2
exec "$@"
"""

STORY = """
import json, re, signal, socket, subprocess, sys, time, urllib.request

up = subprocess.Popen(
    [sys.executable, "-m", "fastchat", "up", sys.argv[1], "--port", "0"], stdout=subprocess.PIPE, text=True
)
address = None
for line in up.stdout:
    found = re.search(r"Ready at (http://[\\d.:]+)", line)
    if found:
        address = found[1]
        break

def get(path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(address + path, data, {"content-type": "application/json"})
    return urllib.request.urlopen(request, timeout=100).read().decode()

model = json.loads(get("/v1/models"))["data"][0]["id"]
message = {"role": "user", "content": "Hello"}
answer = get("/v1/chat/completions", {"model": model, "messages": [message], "max_tokens": 4})
deadline = time.monotonic() + 60
while True:
    try:
        page = get("/")
        break
    except OSError:
        assert time.monotonic() < deadline
        time.sleep(0.1)
up.send_signal(signal.SIGINT)
up.stdout.read()
up.wait(60)

def sent():
    out = subprocess.run(["ip", "-s", "-j", "link", "show", "away"], capture_output=True, text=True).stdout
    return json.loads(out)[0]["stats64"]["tx"]["packets"]

result = {"exit": up.returncode, "page": len(page), "sent": sent()}
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.1", 53))
result |= {"sent_on_purpose": sent() - result["sent"], "answer": json.loads(answer)["choices"][0]["finish_reason"]}
print(json.dumps(result))
"""


@pytest.mark.model
@pytest.mark.xdist_group("model")
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"),
    reason="needs network namespaces: Linux, root, iproute2",
)
def test_a_running_system_sends_nothing_away(tmp_path: Path) -> None:
    story = tmp_path / "story.py"
    story.write_text(STORY)
    env = {**os.environ, "FASTCHAT_RUN_DIR": str(tmp_path / "run")}
    env = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
    command = [
        "unshare",
        "--net",
        "--mount",
        "bash",
        "-c",
        SCRIPT,
        "in-namespace",
        sys.executable,
        str(story),
        "builtin",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["answer"] in ("stop", "length")
    assert result["page"] > 1000
    assert result["exit"] == 0
    assert result["sent"] == 0
    assert result["sent_on_purpose"] == 1, "the counter counts"
