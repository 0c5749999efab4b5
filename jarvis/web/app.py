"""The application: the tables of routes and pages behind the guard, and problems for everything that has no other answer."""

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
from jarvis.web.pages.asking import without_blanks
from jarvis.web.pages.dressing import HEADERS, KEPT, STATIC, Asset, Dressing
from jarvis.web.pages.routes import LEADING, PAGES, Page
from jarvis.web.problems import Problem, problem
from jarvis.web.routes import ROOT, ROUTES, Route
from jarvis_client.contract.errors import BooksError, Invalid

log = structlog.get_logger("web")

#: More than a page of the longest rows takes. An answer lies in memory whole, for as long as its client reads it.
LARGEST_ANSWER_BYTES = 8 << 20
DESCRIPTION = f"{ROOT}/openapi.json"
_DESCRIBED = f"{DESCRIPTION} describes those that there are"


def create_app(reading: Reading, *, hosts: Iterable[str] = (), token: str | None = None, pages: bool = False) -> Guard:
    """Answers over these books, with `pages` for people, too. With a `token` nobody is answered without it; `hosts` as `Guard` says."""
    desk = Desk(reading)
    described = json.dumps(description(ROUTES, token=token is not None), ensure_ascii=False).encode()

    async def describe(request: Request) -> Response:
        read(request.scope["query_string"], Asked)
        return Response(described, media_type="application/json")

    paths = [Path(f"{ROOT}{route.path}", _endpoint(desk, route), methods=["GET"]) for route in ROUTES]
    paths.append(Path(DESCRIPTION, describe, methods=["GET"]))
    dressing = Dressing(LEADING) if pages else None
    if dressing is not None:
        paths += [Path(page.path, _page_endpoint(desk, page, dressing), methods=["GET"]) for page in PAGES]
        paths += [Path(f"{STATIC}/{name}", _asset_endpoint(asset), methods=["GET"]) for name, asset in dressing.assets.items()]

    def tell(problem: Problem, path: str) -> Response:
        """As who asked there can read it."""
        if dressing is None or path.startswith(f"{ROOT}/"):
            return problem.response()
        return Response(dressing.problem(problem), problem.status, {**HEADERS, **problem.headers}, media_type="text/html")

    async def told(request: Request, error: Exception) -> Response:
        return tell(_problem_of(error, request.url.path, "/ leads to those that there are" if dressing is not None else _DESCRIBED), request.url.path)

    answering = Starlette(routes=paths, exception_handlers={Problem: told, HTTPException: told})
    # A path has one spelling: a redirect would send a client's token along to wherever the Host says.
    answering.router.redirect_slashes = False
    return Guard(answering, hosts=hosts, token=token, tell=tell, browsers=pages)


def _endpoint(desk: Desk, route: Route) -> Callable[[Request], Awaitable[Response]]:
    shape = TypeAdapter(route.answer)

    def bytes_of(asked: Asked, reading: Reading) -> bytes:
        return shape.dump_json(shape.validate_python(route.by(reading, asked)))

    async def endpoint(request: Request) -> Response:
        asked = read(request.scope["query_string"], route.asked)
        return Response(await _answered(desk, request, partial(bytes_of, asked), over_a_moment=route.over_a_moment), media_type="application/json")

    return endpoint


def _page_endpoint(desk: Desk, page: Page, dressing: Dressing) -> Callable[[Request], Awaitable[Response]]:
    def bytes_of(asked: Asked, reading: Reading) -> bytes:
        return dressing.page(page.template, page.path, page.by(reading, asked), asked=asked, title=page.title, refresh=page.refresh)

    async def endpoint(request: Request) -> Response:
        asked = read(without_blanks(request.scope["query_string"]), page.asked)
        body = await _answered(desk, request, partial(bytes_of, asked), over_a_moment=page.over_a_moment)
        return Response(body, headers=HEADERS, media_type="text/html")

    return endpoint


def _asset_endpoint(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_request: Request) -> Response:
        return Response(asset.content, headers=KEPT, media_type=asset.media_type)

    return endpoint


async def _answered(desk: Desk, request: Request, of: Callable[[Reading], bytes], *, over_a_moment: bool) -> bytes:
    """The body of an answer. Raises `Problem` where there is none."""
    try:
        body = await desk.answer(of, over_a_moment=over_a_moment)
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
    return body


def _of_an_error(status: int, error: Exception) -> Problem:
    """Errors of ours are sentences: what is wrong, and after the last semicolon what to do."""
    rule, _, remedy = str(error).rstrip(".").rpartition("; ")
    return problem(status, rule or remedy, remedy if rule else "see the server's log", headers={"Retry-After": "1"} if status == 503 else None)


def _problem_of(error: Exception, path: str, remedy: str) -> Problem:
    if isinstance(error, Problem):
        return error
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(404, "there is no such path", remedy, value=path)
    return problem(error.status_code, str(error.detail), remedy)
