# SPDX-License-Identifier: Apache-2.0
"""What the proxies forward to: nginx over HTTP/1, and nghttpd over cleartext HTTP/2, which answers every call with one
gRPC message and a grpc-status trailer."""
from box import BACKEND, ECHO_PORT, SMALL, UPLOAD, WEB_PORT, Box
from peers import nginx_config
from processes import Process


def start_backends(box: Box) -> list[Process]:
    return [start_web(box), start_echo(box)]


def start_web(box: Box) -> Process:
    folder = box.folder / "web"
    folder.mkdir()
    config = folder / "nginx.conf"
    small = f'return 200 "{box.body(SMALL).read_text()}";'  # cheaper than a file: the proxy should be what is busy
    config.write_text(nginx_config(folder, f"""
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16;
    server {{
        listen {BACKEND}:{WEB_PORT} backlog=4096;
        root {box.files};
        location = {SMALL} {{ {small} }}
        location /route- {{ {small} }}
        location = {UPLOAD} {{ client_max_body_size 0; proxy_pass http://{BACKEND}:{WEB_PORT}{SMALL}; }}
    }}"""))
    process = Process("nginx backend", ["nginx", "-p", str(folder), "-c", str(config)], box.load_cpu, folder / "log")
    process.wait_for(BACKEND, WEB_PORT)
    return process


def start_echo(box: Box) -> Process:
    types = box.folder / "mime.types"
    types.write_text("application/grpc grpc\n")
    argv = ["nghttpd", "--no-tls", "--workers=1", f"--address={BACKEND}", f"--htdocs={box.files}",
            "--trailer=grpc-status: 0", "--no-content-length", f"--mime-types-file={types}", str(ECHO_PORT)]
    process = Process("nghttpd backend", argv, box.load_cpu, box.folder / "echo.log")
    process.wait_for(BACKEND, ECHO_PORT)
    return process
