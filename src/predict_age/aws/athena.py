"""Athena: start a statement, wait for it, read its rows, add up the bytes scanned. Imports boto3 only."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from predict_age.aws.s3_store import client
from predict_age.errors import ResourceError

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0


@dataclass
class Athena:
    """Statements of one function call. ``scanned`` adds up the bytes that Athena read, failed statements included."""

    workgroup: str
    database: str
    api: Any = field(default_factory=lambda: client("athena"))
    scanned: int = 0

    def run(self, statement: str) -> str:
        """Run one statement to its end; returns its id. Raises ResourceError with Athena's reason when it fails."""
        response = self.api.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": self.database},
            WorkGroup=self.workgroup,
            ClientRequestToken=uuid.uuid4().hex,  # a retried call starts no second query
        )
        query: str = response["QueryExecutionId"]
        wait = FIRST_WAIT
        while True:
            execution = self.api.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            if execution["Status"]["State"] in ENDED:
                break
            time.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)
        self.scanned += int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
        if execution["Status"]["State"] != "SUCCEEDED":
            raise ResourceError(
                f"Athena {execution['Status']['State'].lower()} a statement",
                expected="SUCCEEDED",
                found=str(execution["Status"].get("StateChangeReason", ""))[:500],
                fix=f"look at query {query} in workgroup {self.workgroup}",
            )
        return query

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
