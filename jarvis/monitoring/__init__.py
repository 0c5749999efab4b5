"""What a running process tells machines: figures for Prometheus, and whether it is alive and ready.

    health.py            what the main loop last said of itself; whoever asks reads it here
    worker_series.py     a worker's figures as series
    status_series.py     the daemon's status as series, from the scheduler's process
    process_series.py    version, processor time and memory of a process
    merging.py           several sources in one exposition: the registry, the only one of its process
    children.py          what the processes below a supervisor have told through their pipes
    server.py            /metrics, /healthz and /readyz over HTTP
    pipe.py              how a child tells its supervisor
    textfile.py          the same figures in a file, for node_exporter
    monitor.py           all of it for one process: the wiring

A series of one process carries the label `process`; one without it is of the whole daemon. Labels never come out of a record: no account,
no symbol, no producer.
"""
