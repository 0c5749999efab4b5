"""Reading back over HTTP: for programs on other machines and in other languages, the server of `jarvis serve`; for people, that of `jarvis web`.

    routes.py     every path: what may be asked, what is answered, by which function
    asking.py     what a request may ask, checked; cursor.py where a page goes on
    shapes.py     what is answered, as models; status_shapes.py those of the status
    books.py, figures.py, standing.py    the functions behind the paths
    openapi.py    the description of all that, from the same table
    desk.py       so many requests at a time, each for so long, each over one moment of the books
    remembered.py sums over every fill, until something changes them
    problems.py   what is answered instead: value, rule, remedy
    guard.py      who is answered at all: method, Host, token; headers
    pages/        what people see, made of the same functions; templates/, static/ what it is made with
    app.py        all of it as one application; connection.py, server.py what it runs in; token.py

It reads and never writes: its books refuse to. What it answers lies in memory before the first byte is sent, so that no slow client
holds a snapshot, which would hold the writer's log.
"""
