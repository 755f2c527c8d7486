#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""WebSocket peers for tests/netns/websocket.sh, by Debian's python3-websockets.

  websocket.py server PORT               echoes every message
  websocket.py client ADDRESS PORT [CA]  1,000 messages of growing size, echoed in order; a ping; a close
  websocket.py raw PORT                  a backend that says what reaches it before and after its answer
  websocket.py early HOST PORT PATH      an upgrade request with bytes right behind it, in one segment
"""
import asyncio
import socket
import socketserver
import ssl
import sys

import websockets

HOST = "ws.example.com"
MESSAGES = 1000
QUIET_SECONDS = 0.3  # how long the raw backend listens for what must not come

ANSWERS = {
    "/accepted": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    "/refused": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "/behind": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
}


async def echo(connection, _path=None):
    async for message in connection:
        await connection.send(message)


async def server(port):
    async with websockets.serve(echo, "", int(port), max_size=None):
        await asyncio.Future()


async def client(address, port, ca=None):
    tls = {"ssl": ssl.create_default_context(cafile=ca), "server_hostname": HOST} if ca else {}
    url = f"{'wss' if ca else 'ws'}://{HOST}/echo"
    async with websockets.connect(url, host=address, port=int(port), max_size=None, **tls) as connection:
        sent = [(b"%d:" % i) + b"x" * (i * i // 20) for i in range(MESSAGES)]

        async def send_all():
            for i, message in enumerate(sent):
                await connection.send(message if i % 2 else message.decode())

        sender = asyncio.create_task(send_all())
        for i, message in enumerate(sent):
            got = await asyncio.wait_for(connection.recv(), 20)
            if got != (message if i % 2 else message.decode()):
                sys.exit(f"message {i} came back as another")
        await sender
        await asyncio.wait_for(await connection.ping(), 20)
    if connection.close_code != 1000:
        sys.exit(f"closed with {connection.close_code}")
    print(f"{MESSAGES} messages")


class Raw(socketserver.BaseRequestHandler):
    """One upgrade request: what comes before the answer and after it, a line each on standard output."""

    def read_quietly(self):
        self.request.settimeout(QUIET_SECONDS)
        got = b""
        try:
            while piece := self.request.recv(65536):
                got += piece
        except TimeoutError:
            pass
        return got

    def handle(self):
        got = b""
        while b"\r\n\r\n" not in got:
            piece = self.request.recv(65536)
            if not piece:
                return
            got += piece
        head, behind = got.split(b"\r\n\r\n", 1)
        behind += self.read_quietly()
        path = head.split(b" ")[1].decode()
        self.request.sendall(ANSWERS[path])
        print(f"{path} before={behind!r} after={self.read_quietly()!r}", flush=True)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def early(host, port, path):
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                           f"GET /behind HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        got = b""
        while b"hello" not in got and (piece := connection.recv(65536)):
            got += piece
        print(got.decode().replace("\r\n", "|"))


match sys.argv[1]:
    case "server":
        asyncio.run(server(sys.argv[2]))
    case "client":
        asyncio.run(client(*sys.argv[2:]))
    case "raw":
        Server(("", int(sys.argv[2])), Raw).serve_forever()
    case "early":
        early(*sys.argv[2:])
