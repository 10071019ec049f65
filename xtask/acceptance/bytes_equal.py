"""Compares raw answers of the mock with the same answers through the gateway, byte for byte.

Every answer is cut into HTTP chunks at random places, also inside UTF-8 sequences, fifty times with other seeds, each
time with another shape. Status, type, encoding and the presence of the generation's id must be the same, and the body
must have the same SHA-256 once ids and creation times are replaced.
"""

import gzip
import hashlib
import http.client
import itertools
import json
import sys
import urllib.parse

from common import MESSAGES, arguments, report, without_ids

SEEDS = range(1, 51)

# These have no whole body to compare.
BODILESS = {"cut", "cut-before-headers", "headers-then-nothing"}


def answer(server, behaviour, stream, seed):
    url = urllib.parse.urlsplit(server.url)
    body = json.dumps({"model": "openai/gpt-4o-mini", "stream": stream, "messages": MESSAGES})
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Type": "application/json",
        "x-mock-behaviour": f"split-random,{behaviour}",
        "x-mock-seed": str(seed),
    }
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.request("POST", f"{url.path}/chat/completions", body.encode(), headers)
        response = connection.getresponse()
        raw = response.read()
        encoding = response.headers.get("content-encoding")
        text = (gzip.decompress(raw) if encoding == "gzip" else raw).decode()
        return {
            "status": response.status,
            "type": response.headers.get("content-type"),
            "encoding": encoding,
            "has id": "x-generation-id" in response.headers,
            "length": len(text),
            "sha256": hashlib.sha256(without_ids(text).encode()).hexdigest(),
        }
    finally:
        connection.close()


def main():
    direct, gateway, behaviours = arguments(__doc__)
    shapes = [one for one in behaviours if one not in BODILESS and not one.startswith("status-")]
    different = 0
    for seed, shape in zip(SEEDS, itertools.cycle(shapes)):
        for stream in (True, False):
            mine, theirs = (answer(server, shape, stream, seed) for server in (direct, gateway))
            if mine != theirs:
                different += 1
                print(f"different: {shape}, stream: {stream}, seed {seed}\n  direct:  {mine}\n  gateway: {theirs}")
    return report(2 * len(SEEDS), different)


sys.exit(main())
