"""Send one message to one notification URL, and end: a process of its own, so that a library that hangs can be ended.

Both come as JSON on standard input. What went wrong goes to stderr; exit code 1.
"""

from __future__ import annotations

import json
import logging
import sys

import apprise

#: Its warnings say which service refused and why. More detailed lines would show URLs.
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)

given = json.load(sys.stdin)
service = apprise.Apprise.instantiate(given["url"], asset=apprise.AppriseAsset(async_mode=False))
if service is None:
    sys.exit("Apprise does not know such a URL; its page says how the URL of a service is written")
if not service.notify(body=given["text"], title=given["title"], notify_type=apprise.NotifyType(given["type"]), body_format=apprise.NotifyFormat.TEXT):
    sys.exit("it was not delivered")
