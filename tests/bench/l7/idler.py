# SPDX-License-Identifier: Apache-2.0
"""A client that opens many connections, has one request answered on each, and then holds them.

idler.py ADDRESS PORT HOST PATH BODY_FILE COUNT CERTIFICATE: the certificate is empty for plain HTTP. Prints "all
answered", and then for every line on standard input "all open" or how many were closed.
"""
import http.client
import select
import socket
import ssl
import sys
from pathlib import Path


def open_one(address: str, port: int, host: str, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((address, port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the request waits for the handshake's ACK
    return context.wrap_socket(connection, server_hostname=host) if context else connection


def ask(connection: socket.socket, request: bytes, body: bytes) -> None:
    connection.sendall(request)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    if answer.status != 200 or answer.read() != body:
        raise SystemExit(f"wrong answer: status {answer.status}")
    answer.close()


def closed(connections: list[socket.socket]) -> int:
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLRDHUP)
    return len(poll.poll(0))


def main() -> None:
    address, port, host, path, body_file, count, certificate = sys.argv[1:]
    context = None
    if certificate:
        context = ssl.create_default_context(cafile=certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    body = Path(body_file).read_bytes()
    connections = []
    for _ in range(int(count)):
        connections.append(open_one(address, int(port), host, context))
        ask(connections[-1], request, body)
    print("all answered", flush=True)
    for _ in sys.stdin:
        gone = closed(connections)
        print(f"{gone} of {count} were closed" if gone else "all open", flush=True)


if __name__ == "__main__":
    main()
