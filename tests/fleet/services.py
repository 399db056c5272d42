# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitoring that tests connect gradwatch with: real daemons, on the loopback interface."""

import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

from processes import DEADLINE, Process


def eventually(check, timeout=DEADLINE):
    """What a check returns as soon as that is true."""
    end = time.monotonic() + timeout
    while not (result := check()):
        assert time.monotonic() < end, check
        time.sleep(0.1)
    return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return answer.read().decode()


def answers(url, process):
    """Whether it does; a server that has ended never will."""
    assert process.alive(), process.stderr
    try:
        return get(url) is not None
    except (urllib.error.URLError, ConnectionError):
        return False


class Alertmanager(Process):
    def __init__(self, folder):
        self.port = free_port()
        config = folder / "alertmanager.yml"
        config.write_text("route: {receiver: none, group_wait: 0s}\nreceivers: [{name: none}]\n")
        argv = ["prometheus-alertmanager", f"--config.file={config}", "--cluster.listen-address="]
        argv += [f"--storage.path={folder}/alerts", f"--web.listen-address=127.0.0.1:{self.port}"]
        super().__init__(argv)
        eventually(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready", self))

    def alerts(self, name):
        found = json.loads(get(f"http://127.0.0.1:{self.port}/api/v2/alerts"))
        return [each for each in found if each["labels"]["alertname"] == name]


class Prometheus(Process):
    def __init__(self, folder, config):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "prometheus.yml").write_text(config)
        argv = ["prometheus", f"--config.file={folder}/prometheus.yml"]
        argv += [
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        super().__init__(argv)
        eventually(lambda: answers(f"{self.url}/-/ready", self))

    def query(self, expression):
        words = urllib.parse.urlencode({"query": expression})
        answer = json.loads(get(f"{self.url}/api/v1/query?{words}"))
        assert answer["status"] == "success" and not answer.get("warnings"), answer
        return answer["data"]["result"]

    def firing(self):
        """The names of the alerts that fire."""
        alerts = json.loads(get(f"{self.url}/api/v1/alerts"))["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}
