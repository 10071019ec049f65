"""What both comparisons share: where the two servers are, and what may differ between two answers."""

import argparse
import re

# Made anew for each call, of the same length, so that nothing else moves.
GENERATION_ID = re.compile(r"gen-\d{10}-[0-9A-Za-z]{20}")
CREATED = re.compile(r'"created":\d{10}\b')

MESSAGES = [{"role": "user", "content": "Żółw?"}]


class Server:
    """A base URL with the key that opens it."""

    def __init__(self, url, key):
        self.url = url
        self.key = key


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--direct", nargs=2, metavar=("URL", "KEY"), required=True)
    parser.add_argument("--gateway", nargs=2, metavar=("URL", "KEY"), required=True)
    parser.add_argument("behaviours", nargs="+", help="names of the mock's behaviours")
    options = parser.parse_args()
    return Server(*options.direct), Server(*options.gateway), options.behaviours


def without_ids(text):
    """The text with generation ids and creation times replaced."""
    return CREATED.sub('"created":0', GENERATION_ID.sub("gen-", text))


def report(compared, different):
    """Prints the closing line and returns the exit code."""
    print(f"{compared} compared, {different} different")
    return 1 if different or not compared else 0
