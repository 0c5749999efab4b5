"""The application: the table of routes behind the guard, and problems for everything that has no other answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from http import HTTPStatus

import structlog
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from jarvis.web.asking import Asked, read
from jarvis.web.desk import Desk, Reading
from jarvis.web.guard import Guard
from jarvis.web.openapi import description
from jarvis.web.problems import Problem, problem
from jarvis.web.routes import ROOT, ROUTES, Route
from jarvis_client.contract.errors import BooksError, Invalid

log = structlog.get_logger("web")

#: More than a page of the longest rows takes. An answer lies in memory whole, for as long as its client reads it.
LARGEST_ANSWER_BYTES = 8 << 20
DESCRIPTION = f"{ROOT}/openapi.json"


def create_app(reading: Reading, *, hosts: Iterable[str] = (), token: str | None = None) -> Guard:
    """Answers over these books. With a `token` nobody is answered without it; `hosts` as `Guard` says."""
    desk = Desk(reading)
    told = json.dumps(description(ROUTES, token=token is not None), ensure_ascii=False).encode()

    async def describe(request: Request) -> Response:
        read(request.scope["query_string"], Asked)
        return Response(told, media_type="application/json")

    paths = [Path(f"{ROOT}{route.path}", _endpoint(desk, route), methods=["GET"]) for route in ROUTES]
    answering = Starlette(routes=[*paths, Path(DESCRIPTION, describe, methods=["GET"])], exception_handlers={Problem: _problem, HTTPException: _no_path})
    # A path has one spelling: a redirect would send a client's token along to wherever the Host says.
    answering.router.redirect_slashes = False
    return Guard(answering, hosts=hosts, token=token)


def _endpoint(desk: Desk, route: Route) -> Callable[[Request], Awaitable[Response]]:
    shape = TypeAdapter(route.answer)

    def bytes_of(asked: Asked, reading: Reading) -> bytes:
        return shape.dump_json(shape.validate_python(route.by(reading, asked)))

    async def endpoint(request: Request) -> Response:
        asked = read(request.scope["query_string"], route.asked)
        try:
            body = await desk.answer(partial(bytes_of, asked), over_a_moment=route.over_a_moment)
        except Invalid as error:
            raise _of_an_error(400, error) from None
        except BooksError as error:
            raise _of_an_error(503, error) from None
        except Problem:
            raise
        except Exception as error:  # the next request is answered all the same
            log.error("a request could not be answered", path=request.url.path, exc_info=error)
            raise problem(500, "this is a defect of the server", "its log tells where; please report it") from None
        if len(body) > LARGEST_ANSWER_BYTES:
            raise problem(400, f"the answer has {len(body):,} bytes, and at most {LARGEST_ANSWER_BYTES:,} are sent", "ask for fewer rows or days")
        return Response(body, media_type="application/json")

    return endpoint


def _of_an_error(status: int, error: Exception) -> Problem:
    """Errors of ours are sentences: what is wrong, and after the last semicolon what to do."""
    rule, _, remedy = str(error).rstrip(".").rpartition("; ")
    return problem(status, rule or remedy, remedy if rule else "see the server's log", headers={"Retry-After": "1"} if status == 503 else None)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _no_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(404, "there is no such path", f"{DESCRIPTION} describes those that there are", value=request.url.path).response()
    return problem(error.status_code, str(error.detail), f"{DESCRIPTION} describes what is answered").response()
