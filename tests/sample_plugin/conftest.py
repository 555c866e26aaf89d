import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_to_bytes

import pytest

pytest_plugins = ["orchestrator.testing"]


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
        self.server.files[unquote_to_bytes(self.path)] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201)

    def do_DELETE(self):
        path, files = unquote_to_bytes(self.path), self.server.files
        gone = [name for name in list(files) if name == path or (path.endswith(b"/") and name.startswith(path))]
        for name in gone:
            del files[name]
        self.answer(200 if gone else 404)

    def answer(self, code):
        self.send_response(503 if self.server.is_down else code)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """Keeps what is put into it in `files`, path → content; says that it is down while `is_down`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.is_down = {}, False
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
