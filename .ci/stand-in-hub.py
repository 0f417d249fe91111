"""A stand-in for the Hugging Face hub on this machine, for kill-points-pull: stand-in-hub.py PORTFILE ROOT

Answers for the models ROOT/org/name; the commit of one is the text of ROOT/org/name/.commit, read at every request. The
port that the system gave is written to PORTFILE."""

import hashlib
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORTFILE, ROOT = sys.argv[1:]


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        listing = re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/revision/.+", path)
        file = re.fullmatch(r"/([\w-]+/[\w-]+)/resolve/(\w+)/([\w.-]+)", path)
        if listing:
            folder = os.path.join(ROOT, listing[1])
            names = sorted(name for name in os.listdir(folder) if name != ".commit")
            answer = {"sha": self.commit(folder), "siblings": [{"rfilename": name} for name in names]}
            return self.reply(200, json.dumps(answer).encode())
        if not file or file[2] != self.commit(os.path.join(ROOT, file[1])):
            return self.reply(404)
        with open(os.path.join(ROOT, file[1], file[3]), "rb") as stream:
            body = stream.read()
        start = re.match(r"bytes=(\d+)-", self.headers.get("range") or "")
        headers = {"etag": f'"{hashlib.sha256(body).hexdigest()}"'}
        if start:
            headers["content_range"] = f"bytes {start[1]}-{len(body) - 1}/{len(body)}"
            return self.reply(206, body[int(start[1]) :], **headers)
        return self.reply(200, body, **headers)

    do_HEAD = do_GET

    @staticmethod
    def commit(folder):
        with open(os.path.join(folder, ".commit")) as stream:
            return stream.read().strip()


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
server.daemon_threads = True
with open(PORTFILE + ".part", "w") as stream:
    stream.write(str(server.server_port))
os.rename(PORTFILE + ".part", PORTFILE)
server.serve_forever()
