"""Requests for job runs, filed in the commit that carries their message."""

from __future__ import annotations

from jarvis_client.contract.jobs import JobRequest
from persistence.engine.contract import Connection


def file_request(connection: Connection, request: JobRequest, now: int) -> bool:
    """File a request within somebody's commit. False where its id is filed already."""
    connection.hold(f"job {request.job}")
    if connection.execute("SELECT 1 FROM job_runs WHERE request_id = ?", (request.request_id,)).get is not None:
        return False
    taken = "SELECT 1 FROM job_runs WHERE job = ? AND scheduled_for = ?"
    while connection.execute(taken, (request.job, now)).get is not None:
        now += 1
    connection.execute(
        "INSERT INTO job_runs (job, scheduled_for, state, request_id, arguments) VALUES (?, ?, 'requested', ?, ?)",
        (request.job, now, request.request_id, request.arguments),
    )
    return True
