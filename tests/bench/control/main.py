# SPDX-License-Identifier: Apache-2.0
"""What a large cluster costs the agent of one node. Started by tests/bench/control/run, inside the client's namespace."""

import argparse
import concurrent.futures
import glob
import http.client
import json
import os
import random
import ssl
import statistics
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
GATEWAY = "gateway.networking.k8s.io"
ROUTES = f"/apis/{GATEWAY}/v1/namespaces/default/httproutes"


class Api:
    """The API server by the lab's admin certificate, one kept connection a thread."""

    def __init__(self, lab):
        self.context = ssl.create_default_context(cafile=f"{lab}/pki/ca.crt")
        self.context.load_cert_chain(f"{lab}/pki/admin.crt", f"{lab}/pki/admin.key")
        self.local = threading.local()

    def call(self, method, path, body=None, kind="application/json"):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPSConnection("172.30.0.10", 6443, context=self.context)
        headers = {"Content-Type": kind} if body is not None else {}
        self.local.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.local.connection.getresponse()
        text = answer.read()
        if answer.status // 100 != 2 and answer.status != 409:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]}")
        return json.loads(text)


def route(number, services, weight=1):
    return {
        "apiVersion": f"{GATEWAY}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"bench-{number}"},
        "spec": {
            "parentRefs": [{"name": "bench", "sectionName": "http"}],
            "hostnames": [f"r{number}.example.com"],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/first"}}],
                # The endpoints of the Services are nowhere: requests are answered by the pods of "web" alone.
                "backendRefs": [{"name": f"bench-{number % services}", "port": 8080, "weight": weight},
                                {"name": "web", "port": 8080}],
            }],
        },
    }


def service(number):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"bench-{number}"},
            "spec": {"ports": [{"name": "http", "port": 8080}]}}


def endpoints(number):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"bench-{number}", "labels": {"kubernetes.io/service-name": f"bench-{number}"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [f"10.244.{100 + number // 20}.{number % 20 * 10 + i + 1}"]} for i in range(10)],
    }


def fill(api, routes, services):
    work = [("/api/v1/namespaces/default/services", service(n)) for n in range(services)]
    work += [("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoints(n)) for n in range(services)]
    work += [(ROUTES, route(n, services)) for n in range(routes - 1)]
    work.append((ROUTES, route(routes - 1, services, weight=0)))  # the one that a start is judged by
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda item: api.call("POST", *item), work):
            pass


def accepted(api):
    """How many of our routes bear a status of their present generation."""
    items = api.call("GET", ROUTES)["items"]
    return sum(any(c["type"] == "Accepted" and c["observedGeneration"] == item["metadata"]["generation"]
                   for parent in item.get("status", {}).get("parents", []) for c in parent["conditions"])
               for item in items if item["metadata"]["name"].startswith("bench-"))


def wait_for(what, limit_s, condition):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit_s:
            sys.exit(f"waited in vain: {what}")
        time.sleep(0.1)
    return time.monotonic() - begin


class Agent:
    def __init__(self, netns):
        self.netns = os.stat(netns).st_ino

    def pid(self):
        for path in glob.glob("/proc/[0-9]*"):
            try:
                with open(f"{path}/cmdline", "rb") as file:
                    is_agent = file.read().startswith(b"/usr/bin/sluice\0run")
                if is_agent and os.stat(f"{path}/ns/net").st_ino == self.netns:
                    return int(path[6:])
            except OSError:
                continue
        return 0

    def stat(self):
        with open(f"/proc/{self.pid()}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()

    def cpu_s(self):
        fields = self.stat()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def age_s(self):
        with open("/proc/uptime") as file:
            uptime = float(file.read().split()[0])
        return uptime - int(self.stat()[19]) / TICKS

    def rss_mb(self, key="VmRSS"):
        with open(f"/proc/{self.pid()}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))


class Prober:
    """GETs over one kept connection to the Gateway."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, 80, timeout=5)

    def status(self, host, path):
        try:
            self.connection.request("GET", path, headers={"Host": host})
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return 0


def start_time(agent, prober, routes):
    """From the process's start until the last route is served by it."""
    before = agent.pid()
    os.kill(before, 9)
    wait_for("the next agent", 30, lambda: agent.pid() not in (0, before))
    host = f"r{routes - 1}.example.com"
    wait_for("the routes are served", 60, lambda: prober.status(host, "/first") == 200)
    return agent.age_s()


def change_times_ms(api, prober, routes, count):
    """Each from the API server's acknowledgement until a GET finds the new path."""
    times = []
    for turn in range(count):
        number = random.randrange(routes - 1)
        host, path = f"r{number}.example.com", f"/live-{turn}"
        change = [{"op": "replace", "path": "/spec/rules/0/matches/0/path/value", "value": path},
                  {"op": "replace", "path": "/spec/rules/0/backendRefs", "value": [{"name": "web", "port": 8080}]}]
        if prober.status(host, path) != 404:
            sys.exit(f"{host}{path} is served before the change")
        api.call("PATCH", f"{ROUTES}/bench-{number}", change, "application/json-patch+json")
        begin = time.monotonic()
        while prober.status(host, path) != 200:
            if time.monotonic() - begin > 10:
                sys.exit(f"{host}{path} is not served 10 s after the change")
            time.sleep(0.001)  # two cores are all there is, and the API server's are the same
        times.append((time.monotonic() - begin) * 1000)
        time.sleep(0.05)
    return sorted(times)


def status_writes(lab):
    count = 0
    for path in glob.glob(f"{lab}/log/audit*.log"):
        with open(path) as file:
            for line in file:
                if '"subresource":"status"' in line and '"httproutes"' in line and ":sluice-system:sluice" in line:
                    event = json.loads(line)
                    count += event["verb"] == "update" and event["responseStatus"]["code"] == 200
    return count


def measure(options):
    api, agent, prober = Api(options.lab), Agent(options.netns), Prober(options.address)
    print(f"creating {options.routes} HTTPRoutes, {options.services} Services of 10 endpoints", flush=True)
    begin = time.monotonic()
    fill(api, options.routes, options.services)
    created_s = time.monotonic() - begin
    all_s = created_s + wait_for("all routes have a status", 120, lambda: accepted(api) == options.routes)
    writes = status_writes(options.lab)
    result = {"created_s": round(created_s, 1), "all_accepted_s": round(all_s, 1),
              "status_writes_per_route": round(writes / options.routes, 3), "peak_rss_mb": round(agent.rss_mb("VmHWM"), 1)}
    print("changing routes", flush=True)
    times = change_times_ms(api, prober, options.routes, options.changes)
    result |= {"change_ms_p50": round(statistics.median(times), 1), "change_ms_p99": round(times[int(len(times) * 0.99)], 1),
               "change_ms_max": round(times[-1], 1)}
    print("starting anew", flush=True)
    result["start_s"] = round(start_time(agent, prober, options.routes), 2)
    print(f"idle for {options.idle} s", flush=True)
    time.sleep(10)  # what a start has begun ends
    before = agent.cpu_s()
    time.sleep(options.idle)
    result |= {"idle_cpu_percent": round((agent.cpu_s() - before) * 100 / options.idle, 2),
               "rss_mb": round(agent.rss_mb(), 1)}
    return result


def main():
    parser = argparse.ArgumentParser(prog="./dev bench control", description=__doc__)
    parser.add_argument("--routes", type=int, default=2000)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--changes", type=int, default=200, help="routes that are changed, one after the other")
    parser.add_argument("--idle", type=int, default=30, help="seconds")
    parser.add_argument("--json", help="a file for the figures")
    for name in ("--lab", "--netns", "--address"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    result = measure(options)
    bars = {"start_s": 10, "change_ms_p99": 50, "idle_cpu_percent": 1, "rss_mb": 150, "status_writes_per_route": 1.2}
    for key, value in result.items():
        print(f"{key:26} {value:>8}" + (f"   (bar {bars[key]})" if key in bars else ""))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
    sys.exit(any(result[key] > bar for key, bar in bars.items()))


main()
