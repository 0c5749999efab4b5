"""PostgreSQL: connections, commits by many writers at once, the schema, copies. The only place that imports psycopg."""
