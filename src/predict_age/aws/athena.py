"""Athena: start a statement, wait for it, read its rows, add up the bytes scanned. Imports boto3 only."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from predict_age.aws.s3_store import client
from predict_age.errors import ResourceError

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
MOST_QUERIES = 16  # of one piece of work that failed in earlier calls


@dataclass
class Athena:
    """Statements of one function call. ``scanned`` adds up the bytes that Athena read, failed statements included.

    ``began`` is when the call began.
    """

    workgroup: str
    database: str
    api: Any = field(default_factory=lambda: client("athena"))
    scanned: int = 0
    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def run(self, statement: str) -> str:
        """Run one statement to its end; returns its id. Raises ResourceError with Athena's reason when it fails."""
        query = self._start(statement, uuid.uuid4().hex)  # a retried request starts no second query
        execution = self._ended(query)
        if execution["Status"]["State"] != "SUCCEEDED":
            raise self._failed(query, execution)
        return query

    def run_once(self, key: str, statement: Callable[[int], str]) -> int:
        """Run ``statement(n)`` to its end for the first n whose query did not fail in an earlier call; returns that n.

        ``key`` identifies the work. A call that ended while its query ran is followed by one that finds the query, waits for it
        and starts no other. Raises ResourceError when a query fails that this call started.
        """
        for number in range(MOST_QUERIES):
            text = statement(number)
            query = self._start(text, hashlib.sha256(f"{key}/{number}/{text}".encode()).hexdigest())
            execution = self._ended(query)
            if execution["Status"]["State"] == "SUCCEEDED":
                return number
            if execution["Status"]["SubmissionDateTime"] >= self.began:
                break
        raise self._failed(query, execution)

    def _start(self, statement: str, token: str) -> str:
        """Start a query; the same token and statement are the same query."""
        response = self.api.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": self.database},
            WorkGroup=self.workgroup,
            ClientRequestToken=token,
        )
        return str(response["QueryExecutionId"])

    def _ended(self, query: str) -> Any:
        """Wait for the end of a query; its description."""
        wait = FIRST_WAIT
        while True:
            execution = self.api.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            if execution["Status"]["State"] in ENDED:
                break
            time.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)
        self.scanned += int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
        return execution

    def _failed(self, query: str, execution: Any) -> ResourceError:
        return ResourceError(
            f"Athena {execution['Status']['State'].lower()} a statement",
            expected="SUCCEEDED",
            found=str(execution["Status"].get("StateChangeReason", ""))[:500],
            fix=f"look at query {query} in workgroup {self.workgroup}",
        )

    def rows(self, statement: str) -> list[dict[str, str | None]]:
        """Run a SELECT; its rows as text by column name, NULL as None."""
        query = self.run(statement)
        names: list[str] = []
        rows: list[dict[str, str | None]] = []
        more: dict[str, str] = {}
        while True:
            page = self.api.get_query_results(QueryExecutionId=query, MaxResults=1000, **more)
            for row in page["ResultSet"]["Rows"]:
                values = [cell.get("VarCharValue") for cell in row["Data"]]
                if not names:
                    names = [str(v) for v in values]  # the first row is the header
                else:
                    rows.append(dict(zip(names, values, strict=True)))
            if "NextToken" not in page:
                return rows
            more = {"NextToken": page["NextToken"]}
