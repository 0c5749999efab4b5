"""SQLite: the file, its connections, pragmas, log, pages and schema. The only place that imports apsw."""
