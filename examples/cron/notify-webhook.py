#!/usr/bin/env python3
"""Program for [notify]: posts how a run ended to the address in the variable WEBHOOK. Slack, Teams and others take such a text."""

import json
import os
import sys
import urllib.request

ending = json.load(sys.stdin)
people = ending.get("rows", {}).get("distinct")
text = f"predict-age: run {ending['run_id'] or '(none)'} {ending['event']}"
text += f", {people:,} people" if ending["event"] == "done" and people else ""
text += f": {ending['message']}" if ending["message"] else ""
request = urllib.request.Request(os.environ["WEBHOOK"], json.dumps({"text": text}).encode(), {"Content-Type": "application/json"})
urllib.request.urlopen(request, timeout=20).close()
