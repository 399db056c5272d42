# SPDX-License-Identifier: GPL-2.0-or-later
"""Receives logs by OTLP over HTTP, in the official messages, and writes them as JSON Lines.

receiver.py PORT FILE
"""

import gzip
import http.server
import json
import sys

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def records(request):
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield {
                    "time": record.time_unix_nano,
                    "severity": record.severity_number,
                    "body": value(record.body),
                    "attributes": attributes(record.attributes),
                    "resource": attributes(resource.resource.attributes),
                }


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        request = service.ExportLogsServiceRequest.FromString(data)
        with open(sys.argv[2], "a") as out:
            out.writelines(json.dumps(record) + "\n" for record in records(request))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(service.ExportLogsServiceResponse().SerializeToString())

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
