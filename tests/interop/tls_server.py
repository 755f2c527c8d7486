#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tls_server.py NAME PORT CERTIFICATE KEY [CLIENT_CA]: an HTTPS backend that tells what it saw of the handshake.

It answers "NAME sni=SERVER_NAME client=COMMON_NAME path=PATH"; /bytes/N is N zero bytes. With CLIENT_CA it wants a
certificate of that authority from its client.
"""
import http.server
import ssl
import sys

name, port, certificate, key, *client_ca = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def setup(self):
        self.request.do_handshake()  # here, in the connection's own thread
        super().setup()

    def do_GET(self):  # noqa: N802 (the base class's name)
        subject = dict(pair[0] for pair in (self.request.getpeercert() or {}).get("subject", ()))
        body = f"{name} sni={self.request.sni} client={subject.get('commonName')} path={self.path}\n".encode()
        if self.path.startswith("/bytes/"):
            body = bytes(int(self.path[7:]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr, flush=True)


def keep_server_name(connection, server_name, _context):
    connection.sni = server_name


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca[0] if client_ca else None)
context.load_cert_chain(certificate, key)
context.sni_callback = keep_server_name
context.set_alpn_protocols(["http/1.1"])
if client_ca:
    context.verify_mode = ssl.CERT_REQUIRED
ssl.SSLSocket.sni = None
server = Server(("", int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
