#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a container image archive holding just the given files, for `ctr images import`.

usage: mkimage.py OUT.tar NAME:TAG[,NAME:TAG...] ENTRYPOINT FILE=PATH_IN_IMAGE...
"""
import hashlib, io, json, sys, tarfile

out, names, entrypoint, *files = sys.argv[1:]
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    made = set()
    for d in ("tmp", "etc", "run"):
        info = tarfile.TarInfo(d); info.type = tarfile.DIRTYPE; info.mode = 0o1777 if d == "tmp" else 0o755
        tar.addfile(info); made.add(d)
    for pair in files:
        src, dst = pair.split("=", 1)
        parts = dst.strip("/").split("/")
        for i in range(1, len(parts)):
            d = "/".join(parts[:i])
            if d not in made:
                info = tarfile.TarInfo(d); info.type = tarfile.DIRTYPE; info.mode = 0o755
                tar.addfile(info); made.add(d)
        tar.add(src, arcname="/".join(parts), filter=lambda t: (setattr(t, "uid", 0), setattr(t, "gid", 0), t)[2])
blob = layer.getvalue()
diff = hashlib.sha256(blob).hexdigest()
config = json.dumps({
    "architecture": "amd64", "os": "linux",
    "config": {"Entrypoint": entrypoint.split(), "Env": ["PATH=/usr/bin:/bin:/"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff]},
}).encode()
cfg = hashlib.sha256(config).hexdigest()
manifest = json.dumps([{"Config": cfg + ".json", "RepoTags": names.split(","), "Layers": [diff + "/layer.tar"]}]).encode()
with tarfile.open(out, "w") as tar:
    for name, data in ((cfg + ".json", config), (diff + "/layer.tar", blob), ("manifest.json", manifest)):
        info = tarfile.TarInfo(name); info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
